// Unpacks the page's own script and runs it: the policy in the head allows this one and that one, by their hashes.

async function start() {
  if (!("DecompressionStream" in globalThis))
    throw new Error("This browser is too old to unpack the model; use one of 2023 or later (Chrome 103, Firefox 113, Safari 16.4).");
  const code = await inflated(bytesOf(document.getElementById("code")?.textContent ?? "")).catch(() => {
    throw new Error("This file is damaged, as after an incomplete download; get it again.");
  });
  document.head.append(Object.assign(document.createElement("script"), { textContent: new TextDecoder().decode(code) }));
}

// It stands before the model, so that also a page that ends too early says so.
document.addEventListener("DOMContentLoaded", () =>
  start().catch(error => { document.getElementById("status").textContent = error.message; }));
