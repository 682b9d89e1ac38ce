    /// The class names; the position is the class.
    public static let labels: [String] = [
{%- for label in labels %}
        {{ label | swift }},
{%- endfor %}
    ]
