    answers.replaceChildren(...found.slice(0, 5).map(({ label, probability }) => {
      const item = document.createElement("li");
      const [name, share] = [label, `${(100 * probability).toFixed(1)} %`].map((text) => {
        const span = document.createElement("span");
        span.textContent = text;
        return span;
      });
      item.append(name, share);
      return item;
    }));
    state.textContent = "Everything is computed on this device.";
