// SPDX-License-Identifier: Apache-2.0
package {{ package }}

import android.graphics.Bitmap
import android.util.Base64
import org.json.JSONObject

/** The pictures of {{ golden_file }}: base64 of bytes, row by row, one a pixel where they are grey and else three. */
object GoldenPictures {
    /** Return the picture at a position of the list. */
    fun bitmapOf(golden: JSONObject, position: Int): Bitmap {
        val channels = golden.getInt("channels")
        val vector = golden.getJSONArray("vectors").getJSONObject(position)
        val isWhole = !vector.isNull("picture") // of a size that the model has to resize
        val width = if (isWhole) vector.getInt("width") else golden.getInt("side")
        val height = if (isWhole) vector.getInt("height") else golden.getInt("side")
        val bytes = Base64.decode(vector.getString(if (isWhole) "picture" else "pixels"), Base64.DEFAULT)
        val colours = IntArray(width * height) { pixel ->
            val (red, green, blue) = List(3) { bytes[channels * pixel + it % channels].toInt() and 0xFF }
            (0xFF shl 24) or (red shl 16) or (green shl 8) or blue
        }
        return Bitmap.createBitmap(colours, width, height, Bitmap.Config.ARGB_8888)
    }
}
