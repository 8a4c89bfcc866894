// Tells drags on an element from clicks: by mouse, pen or one finger.

/**
 * @typedef {object} Point
 * @property {number} x share of the element's width; beyond 0 to 1 where the pointer left it
 * @property {number} y share of the element's height
 */

/**
 * @typedef {object} Drag
 * @property {Element} start what the pointer went down on
 * @property {Point} from
 * @property {Point} to
 */

/**
 * @typedef {object} Listeners
 * @property {(drag: Drag) => void} onDrag the pointer has moved
 * @property {() => void} onDrop it was lifted: the last drag told of is what was meant
 * @property {() => void} onCancel the drag is to be as if it had not been
 */

const SLACK_PX = 6; // a click may tremble so far

/**
 * @param {HTMLElement} root
 * @param {Listeners} listeners
 */
export function onDrags(root, { onDrag, onDrop, onCancel }) {
  /** @type {{ pointerId: number, start: Element, clientX: number, clientY: number } | null} */
  let pressed = null;
  let dragging = false;

  /** @param {{ clientX: number, clientY: number }} event */
  const shareOf = ({ clientX, clientY }) => {
    const { left, top, width, height } = root.getBoundingClientRect();
    return { x: (clientX - left) / width, y: (clientY - top) / height };
  };
  const giveUp = () => {
    pressed = null;
    if (dragging) onCancel();
  };

  root.addEventListener("pointerdown", (event) => {
    dragging = false;
    if (!event.isPrimary || event.button !== 0 || !(event.target instanceof Element)) return;
    const { pointerId, target, clientX, clientY } = event;
    pressed = { pointerId, start: target, clientX, clientY };
  });
  root.addEventListener("pointermove", (event) => {
    if (pressed?.pointerId !== event.pointerId) return;
    const moved = Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY);
    if (!dragging && moved < SLACK_PX) return;
    // Only now: a captured pointer would take the click away from what it is on.
    if (!dragging) root.setPointerCapture(event.pointerId);
    dragging = true;
    onDrag({ start: pressed.start, from: shareOf(pressed), to: shareOf(event) });
  });
  root.addEventListener("pointerup", (event) => {
    if (pressed?.pointerId !== event.pointerId) return;
    pressed = null;
    if (dragging) onDrop();
  });
  // Else the browser takes the end of a drag for a fling, and the tap that follows for what stops it.
  root.addEventListener(
    "touchmove",
    (event) => {
      if (dragging && pressed !== null && event.cancelable) event.preventDefault();
    },
    { passive: false },
  );
  root.addEventListener("pointercancel", giveUp); // the finger turned out to be one of two
  window.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && pressed !== null) giveUp();
  });
  root.addEventListener(
    "click",
    (event) => {
      if (dragging && event.detail > 0) event.stopPropagation(); // ends the drag; a key's click has no detail
    },
    { capture: true },
  );
}
