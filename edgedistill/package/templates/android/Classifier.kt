// SPDX-License-Identifier: Apache-2.0
package {{ package }}

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import ai.onnxruntime.extensions.OrtxPackage
import android.content.Context

{% include "parts/prediction.kt" %}
{%- if has_several %}

{% include "parts/answer_type.kt" %}
{%- endif %}

/**
 * The model of {{ title }}: text in, all {{ labels | length }} classes out. Not to be used by two threads at once.
 *
 * @param model bytes of {{ model_file }}
 * @param threads threads of one call
 */
class Classifier(model: ByteArray, threads: Int = 1) : AutoCloseable {
    private val environment = OrtEnvironment.getEnvironment()
    private val session: OrtSession

    init {
        val options = OrtSession.SessionOptions()
        options.registerCustomOpLibrary(OrtxPackage.getLibraryPath())
        options.setIntraOpNumThreads(threads)
        session = environment.createSession(model, options)
    }
{%- if has_several %}

{% include "parts/several.kt" %}
{%- else %}

    /** Classify one text; the classes come most probable first. */
    fun classify(text: String): List<Prediction> =
        run(text).second
{% include "parts/ranked.kt" %}
{%- endif %}

    /** Raw logits of one text, in the order of [LABELS]. */
    fun logits(text: String): FloatArray = run(text).first

    override fun close() = session.close()

    private fun run(text: String): Pair<FloatArray, FloatArray> {
        val input = OnnxTensor.createTensor(environment, arrayOf(GraphText.of(text)))
        input.use {
            val wanted = setOf("logits", "probabilities")
            session.run(mapOf("text" to it), wanted).use { answer -> return Pair(row(answer, "logits"), row(answer, "probabilities")) }
        }
    }

    private fun row(answer: OrtSession.Result, name: String): FloatArray {
        @Suppress("UNCHECKED_CAST")
        return (answer.get(name).get().value as Array<FloatArray>)[0]
    }

    companion object {
{% include "parts/labels.kt" %}

        /** Read the model out of the app's assets. */
        fun fromAssets(context: Context, threads: Int = 1): Classifier =
            Classifier(context.assets.open(MODEL_FILE).use { it.readBytes() }, threads)
    }
}
