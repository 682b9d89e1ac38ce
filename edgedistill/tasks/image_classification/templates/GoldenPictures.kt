// SPDX-License-Identifier: Apache-2.0
package {{ package }}

import android.graphics.Bitmap
import android.util.Base64
import org.json.JSONObject

/** The pictures of {{ golden_file }}: base64 of bytes, row by row, one a pixel where they are grey and else three. */
object GoldenPictures {
    /** Return the picture at a position of the list. */
    fun bitmapOf(golden: JSONObject, position: Int): Bitmap {
        val side = golden.getInt("side")
        val channels = golden.getInt("channels")
        val vector = golden.getJSONArray("vectors").getJSONObject(position)
        val bytes = Base64.decode(vector.getString("pixels"), Base64.DEFAULT)
        val colours = IntArray(side * side) { pixel ->
            val (red, green, blue) = List(3) { bytes[channels * pixel + it % channels].toInt() and 0xFF }
            (0xFF shl 24) or (red shl 16) or (green shl 8) or blue
        }
        return Bitmap.createBitmap(colours, side, side, Bitmap.Config.ARGB_8888)
    }
}
