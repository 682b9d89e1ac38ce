// SPDX-License-Identifier: Apache-2.0
package {{ package }}

/**
 * Text as the graph must be given it.
 *
 * onnxruntime's Java binding hands strings over in modified UTF-8, in which a character beyond U+FFFF is no valid
 * UTF-8 and U+0000 is two bytes. Such a character is replaced by one below that has the same effect on the token ids:
 * one that vanishes, one that is a word of its own, or one that no token is made of.
 */
object GraphText {
    private const val VANISHES = '\u0001'
    private const val ALONE = {{ alone | kotlin }}
    private const val UNKNOWN = '{{ unknown | u16 }}'

    /** First and last code point of each range that vanishes. */
    private val vanishing = intArrayOf({{ vanishing | pairs }})

    /** First and last code point of each range whose members are words of their own. */
    private val standing = intArrayOf({{ standing | pairs }})

    /** What these become; only those that a token is made of. */
    private val images: Map<Int, String> = mapOf({% for code, text in images %}0x{{ "%X" | format(code) }} to {{ text | kotlin }}, {% endfor %})

    /** Replace what the binding would spoil. */
    fun of(text: String): String {
        val out = StringBuilder(text.length)
        var index = 0
        while (index < text.length) {
            val code = text.codePointAt(index)
            index += Character.charCount(code)
            when {
                code == 0 || code in 0xD800..0xDFFF -> out.append(VANISHES)
                code <= 0xFFFF -> out.append(code.toChar())
                code in images -> out.append(images.getValue(code))
                isWithin(vanishing, code) -> out.append(VANISHES)
                isWithin(standing, code) -> out.append(ALONE)
                else -> out.append(UNKNOWN)
            }
        }
        return out.toString()
    }

    private fun isWithin(ranges: IntArray, code: Int): Boolean =
        (ranges.indices step 2).any { code in ranges[it]..ranges[it + 1] }
}
