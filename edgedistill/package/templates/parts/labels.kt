        const val MODEL_FILE = "{{ model_file }}"

        /** The class names; the position is the class. */
        val LABELS: List<String> = listOf(
{%- for label in labels %}
            {{ label | kotlin }},
{%- endfor %}
        )
