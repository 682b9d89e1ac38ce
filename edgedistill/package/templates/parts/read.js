    const read = async (name) => {
      const answer = await fetch(new URL(name, base));
      if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
      return answer;
    };
