// The page inside a notebook widget: web/live/widget.ts around it has the view of the model, and gets that of the page.
import { READY, VIEW } from '../data/notebook-messages'
import { notebookView, viewChange } from '../model/notebook-view'
import type { Explorer } from '../state/explorer.svelte'

/** Show the views that the widget sends, and report every later view to it. */
export function followNotebook(explorer: Explorer): void {
  const send = (message: object): void => window.parent.postMessage(message, '*')
  /** What the widget knows of the view; null before it has sent its own. */
  let known: string | null = null
  addEventListener('message', ({ source, data }: MessageEvent<{ gatescope?: unknown; view?: unknown } | null>) => {
    if (source !== window.parent || data?.gatescope !== VIEW) return
    const change = viewChange(data.view)
    if (!change) return
    known ??= ''
    explorer.go(change)
    // What does not fit the network is left out, with a sentence, as of a link.
    explorer.loader.checkLink()
  })
  $effect.root(() => {
    $effect(() => {
      const { run, state, text } = explorer
      if (!run) return
      const shown = { text, layer: explorer.layer?.name ?? null, signal: explorer.signal?.name ?? null }
      const view = notebookView(state, shown)
      const written = JSON.stringify(view)
      if (known === null || written === known) return
      known = written
      send({ gatescope: VIEW, view })
    })
  })
  send({ gatescope: READY })
}
