// Text fields and input methods: half-typed input, such as the letters of pinyin, is no text yet.

/**
 * Return the field whose text has changed; null while an input method composes. To be called at `input` and at
 * `compositionend`: some browsers send no `input` after the end.
 */
export function changedField(event: Event): HTMLTextAreaElement | null {
  return (event as InputEvent).isComposing ? null : (event.currentTarget as HTMLTextAreaElement)
}
