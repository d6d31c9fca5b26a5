// Elements, made of text alone. Nothing here reads markup: paths, callers and reasons are strangers' words.

const SVG = 'http://www.w3.org/2000/svg';

export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Both leave alone what is so already: a browser would lay out anew, and a selection would be lost.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const shownIn = new WeakMap();

// Show items as children of `parent`, one each, the same node for the same key for as long as it is there.
// `make` returns { node, show }. With `keepsOrder`, nodes that are there stay where they are: one that is
// moved would lose its focus.
export function showAll(parent, items, { keyOf, make, keepsOrder = false }) {
  const before = shownIn.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (now.has(key)) continue;
    const part = before.get(key) ?? make(item);
    part.show(item);
    now.set(key, part);
  }
  for (const [key, part] of before) if (!now.has(key)) part.node.remove();
  let place = parent.firstElementChild;
  for (const { node } of now.values()) {
    if (node === place) place = place.nextElementSibling;
    else if (!keepsOrder || node.parentNode !== parent) parent.insertBefore(node, keepsOrder ? null : place);
  }
  shownIn.set(parent, now);
}
