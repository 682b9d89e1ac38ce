    answers.replaceChildren(...found
{%- if has_several %}.ranked.slice(0, Math.max(5, found.labels.length))
{%- else %}.slice(0, 5)
{%- endif %}.map(({ label, probability }) => {
      const item = document.createElement("li");
      const [name, share] = [label, `${(100 * probability).toFixed(1)} %`].map((text) => {
        const span = document.createElement("span");
        span.textContent = text;
        return span;
      });
      item.append(name, share);
      return item;
    }));
{%- if has_several %}
    const applying = found.labels.map(({ label }) => label).join(", ");
    state.textContent = `${applying ? `Applies: ${applying}.` : "No label applies."} Everything is computed on this device.`;
{%- else %}
    state.textContent = "Everything is computed on this device.";
{%- endif %}
