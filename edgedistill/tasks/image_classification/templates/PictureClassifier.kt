// SPDX-License-Identifier: Apache-2.0
package {{ package }}

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import android.content.Context
import android.graphics.Bitmap
import java.nio.ByteBuffer

/** A class and its probability, 0 to 1. */
data class Prediction(val label: String, val probability: Float)

/**
 * The model of {{ title }}: a picture in, all {{ labels | length }} classes out. Not to be used by two threads at once.
 *
 * Needs com.microsoft.onnxruntime:onnxruntime-android alone; resizing and normalising are inside of the model.
 *
 * @param model bytes of {{ model_file }}
 * @param threads threads of one call
 */
class PictureClassifier(model: ByteArray, threads: Int = 1) : AutoCloseable {
    private val environment = OrtEnvironment.getEnvironment()
    private val session: OrtSession

    init {
        val options = OrtSession.SessionOptions()
        options.setIntraOpNumThreads(threads)
        session = environment.createSession(model, options)
    }

    /** Classify a picture of any size, upright; the classes come most probable first. */
    fun classify(bitmap: Bitmap): List<Prediction> =
        run(rgbOf(bitmap), bitmap.height, bitmap.width, "probabilities")
            .mapIndexed { index, probability -> Prediction(LABELS[index], probability) }
            .sortedByDescending { it.probability }

    /** Raw logits, in the order of [LABELS], of red, green and blue bytes, row by row. */
    fun logits(rgb: ByteBuffer, height: Int, width: Int): FloatArray = run(rgb, height, width, "logits")

    override fun close() = session.close()

    private fun run(rgb: ByteBuffer, height: Int, width: Int, output: String): FloatArray {
        val shape = longArrayOf(height.toLong(), width.toLong(), 3)
        OnnxTensor.createTensor(environment, rgb, shape, OnnxJavaType.UINT8).use { input ->
            session.run(mapOf("image" to input), setOf(output)).use { answer ->
                @Suppress("UNCHECKED_CAST")
                return (answer.get(output).get().value as Array<FloatArray>)[0]
            }
        }
    }

    companion object {
        const val MODEL_FILE = "{{ model_file }}"

        /** The class names; the position is the class. */
        val LABELS: List<String> = listOf(
{%- for label in labels %}
            {{ label | kotlin }},
{%- endfor %}
        )

        /** Read the model out of the app's assets. */
        fun fromAssets(context: Context, threads: Int = 1): PictureClassifier =
            PictureClassifier(context.assets.open(MODEL_FILE).use { it.readBytes() }, threads)

        /** Red, green and blue of every pixel, row by row; transparency is dropped. */
        fun rgbOf(bitmap: Bitmap): ByteBuffer {
            val pixels = IntArray(bitmap.width * bitmap.height)
            bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
            val rgb = ByteBuffer.allocateDirect(3 * pixels.size)
            for (pixel in pixels) {
                rgb.put((pixel shr 16).toByte()).put((pixel shr 8).toByte()).put(pixel.toByte())
            }
            rgb.rewind()
            return rgb
        }
    }
}
