// Modal dialogs.

/**
 * Open a dialog over the page. Returns a function that forgets it.
 *
 * @param closed called when the dialog has closed, before the next key: the event of a dialog comes only some time after
 */
export function openModal(dialog: HTMLDialogElement, closed: () => void): () => void {
  dialog.showModal()
  const observer = new MutationObserver(() => dialog.open || closed())
  observer.observe(dialog, { attributeFilter: ['open'] })
  return () => observer.disconnect()
}
