// A button that copies a block of commands, the diagrams, and paper. Nothing is loaded from elsewhere.
(function () {
  "use strict";
  const french = document.documentElement.lang.startsWith("fr");
  const words = french ? { copy: "Copier", copied: "Copié" } : { copy: "Copy", copied: "Copied" };

  for (const block of document.querySelectorAll(".highlight > pre")) {
    if (!navigator.clipboard) break; // the browser offers it to https and localhost only
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = words.copy;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.innerText.replace(/\n+$/, "\n"));
      button.textContent = words.copied;
      setTimeout(() => { button.textContent = words.copy; }, 2000);
    });
    block.parentElement.prepend(button);
  }

  // A line may not break after the dashes of an option: "--" alone at the edge of paper reads as another command.
  for (const code of document.querySelectorAll("[role=main] code")) {
    const walker = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
      const parts = text.data.split(/(?<![\w-])(--?\w[\w-]*)/);
      if (parts.length === 1) continue;
      text.replaceWith(...parts.map((part, index) => {
        if (index % 2 === 0) return part;
        const option = document.createElement("span");
        option.className = "option";
        option.textContent = part;
        return option;
      }));
    }
  }

  // A page is printed whole, and afterwards is as it was.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("[role=main] details:not([open])")];
    for (const part of folded) part.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
  });

  const diagrams = document.querySelectorAll("div.mermaid");
  if (diagrams.length) {
    const script = document.createElement("script");
    script.src = base_url + "/js/mermaid.js";
    script.addEventListener("load", () => {
      // One look for light, dark and paper: the diagram stands on a light card.
      mermaid.initialize({ startOnLoad: false, theme: "neutral", securityLevel: "strict", fontFamily: "inherit" });
      mermaid.run({ nodes: diagrams, suppressErrors: true });
    });
    document.head.append(script);
  }
})();
