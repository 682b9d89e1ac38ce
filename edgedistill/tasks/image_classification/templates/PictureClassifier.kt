// SPDX-License-Identifier: Apache-2.0
package {{ package }}

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import android.content.Context
import android.graphics.Bitmap
import android.os.Build
import java.nio.ByteBuffer

{% include "parts/prediction.kt" %}

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
        run(bitmap, "probabilities")
{% include "parts/ranked.kt" %}

    /** Raw logits of a picture, in the order of [LABELS]. */
    fun logits(bitmap: Bitmap): FloatArray = run(bitmap, "logits")

    override fun close() = session.close()

    private fun run(bitmap: Bitmap, output: String): FloatArray {
        val shape = longArrayOf(bitmap.height.toLong(), bitmap.width.toLong(), 3)
        OnnxTensor.createTensor(environment, rgbOf(bitmap), shape, OnnxJavaType.UINT8).use { input ->
            session.run(mapOf("image" to input), setOf(output)).use { answer ->
                @Suppress("UNCHECKED_CAST")
                return (answer.get(output).get().value as Array<FloatArray>)[0]
            }
        }
    }

    companion object {
{% include "parts/labels.kt" %}

        /** Read the model out of the app's assets. */
        fun fromAssets(context: Context, threads: Int = 1): PictureClassifier =
            PictureClassifier(context.assets.open(MODEL_FILE).use { it.readBytes() }, threads)

        /** Red, green and blue of every pixel, row by row; transparency is dropped. */
        fun rgbOf(bitmap: Bitmap): ByteBuffer {
            val pixels = IntArray(bitmap.width * bitmap.height)
            readable(bitmap).getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
            val rgb = ByteBuffer.allocateDirect(3 * pixels.size)
            for (pixel in pixels) {
                rgb.put((pixel shr 16).toByte()).put((pixel shr 8).toByte()).put(pixel.toByte())
            }
            rgb.rewind()
            return rgb
        }

        /** A bitmap whose pixels can be read. ImageDecoder gives hardware bitmaps, which only the graphics memory holds. */
        private fun readable(bitmap: Bitmap): Bitmap {
            if (Build.VERSION.SDK_INT < Build.VERSION_CODES.O || bitmap.config != Bitmap.Config.HARDWARE) return bitmap
            return checkNotNull(bitmap.copy(Bitmap.Config.ARGB_8888, false)) { "the bitmap cannot be copied" }
        }
    }
}
