// A frame with a page of gatescope, which reports the height of its content.

export const MIN_HEIGHT = 160

/** Give a frame the height that its page reports, up to a largest one. */
export function fitHeight(frame: HTMLIFrameElement, data: unknown, maxHeight: number): void {
  const { gatescope, height } = (data ?? {}) as { gatescope?: unknown; height?: unknown }
  if (gatescope !== 'height' || typeof height !== 'number' || !(height >= 0)) return
  frame.style.height = `${Math.min(maxHeight, Math.max(MIN_HEIGHT, Math.ceil(height)))}px`
}
