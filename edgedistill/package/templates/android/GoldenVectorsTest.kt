// SPDX-License-Identifier: Apache-2.0
package {{ package }}

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith

/** Replays the golden vectors on the device: the same {{ decision }}, and every logit within the tolerance. */
@RunWith(AndroidJUnit4::class)
class GoldenVectorsTest {
    @Test
    fun goldenVectorsWhenReplayedGiveTheSameAnswers() {
        val instrumentation = InstrumentationRegistry.getInstrumentation()
        val text = instrumentation.context.assets.open("{{ golden_file }}").use { it.readBytes().decodeToString() }
        val golden = JSONObject(text)
        // Each instruction set may have its own tolerance; "aarch64" is what a phone calls itself.
        val own = golden.getJSONObject("tolerances")
        val tolerance = own.optDouble(System.getProperty("os.arch").orEmpty(), golden.getDouble("tolerance")).toFloat()
        val vectors = golden.getJSONArray("vectors")
        {{ classifier }}.fromAssets(instrumentation.targetContext).use { classifier ->
            for (position in 0 until vectors.length()) {
                val vector = vectors.getJSONObject(position)
                val name = vector.getString("text")
                val asked = {{ asked_kotlin }}
{%- if has_several %}
                val applying = vector.getJSONArray("labels")
                val expectedLabels = (0 until applying.length()).map { applying.getString(it) }.toSet()
                val foundLabels = classifier.classify(asked).labels.map { it.label }.toSet()
                // A class whose logit is nearer to 0 than the tolerance may be on either side.
                val goldenLogits = vector.getJSONArray("logits")
                val clear = {{ classifier }}.LABELS.filterIndexed { index, _ -> Math.abs(goldenLogits.getDouble(index)) > tolerance }
                assertEquals(name, expectedLabels intersect clear, foundLabels intersect clear)
{%- else %}
                assertEquals(name, vector.getString("label"), classifier.classify(asked).first().label)
{%- endif %}
                val logits = classifier.logits(asked)
                val expected = vector.getJSONArray("logits")
                for (index in logits.indices) {
                    assertEquals(name, expected.getDouble(index).toFloat(), logits[index], tolerance)
                }
            }
        }
    }
}
