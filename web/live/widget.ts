// The notebook widget (gatescope.explore), in the form that anywidget loads: a live file in a frame, and a model whose
// view follows that of the page, and the other way round. The frame has an origin of its own, so that a file that
// someone else saved in a notebook cannot read the notebook.
import { READY, VIEW } from '../src/data/notebook-messages'
import { fitHeight } from './frame'

/** The traits of gatescope.explorer.notebook.widget.ExplorerWidget that the page shows. */
const FIELDS = ['text', 'layer', 'signal', 'neuron', 'step', 'steps', 'holds'] as const

/** What anywidget hands over of the model of a widget. */
interface Model {
  get: (name: string) => unknown
  set: (name: string, value: unknown) => void
  save_changes: () => void
  on: (event: string, listener: () => void) => void
  off: (event: string, listener: () => void) => void
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const frame = document.createElement('iframe')
  frame.setAttribute('sandbox', 'allow-scripts allow-downloads')
  frame.allow = 'clipboard-write'
  frame.title = String(model.get('title'))
  const maxHeight = (): number => Number(model.get('height'))
  Object.assign(frame.style, { display: 'block', width: '100%', height: `${maxHeight()}px`, border: '0' })
  /** Whether the change of the model comes from this page, which then knows it. */
  let isReporting = false

  const show = (fields: readonly string[]): void => {
    const view = Object.fromEntries(fields.map((name) => [name, model.get(name)]))
    // A frame with an origin of its own has no name to send to; the window is the one made here.
    frame.contentWindow?.postMessage({ gatescope: VIEW, view }, '*')
  }
  const report = (view: Record<string, unknown>): void => {
    isReporting = true
    for (const name of FIELDS)
      if (name in view && JSON.stringify(view[name]) !== JSON.stringify(model.get(name))) model.set(name, view[name])
    isReporting = false
    try {
      model.save_changes()
    } catch {
      // Without a kernel the change stays in the page; the notebook keeps what it was saved with.
    }
  }
  const receive = ({ source, data }: MessageEvent<{ gatescope?: unknown; view?: unknown } | null>): void => {
    if (source !== frame.contentWindow || !data) return
    if (data.gatescope === READY) show(FIELDS)
    else if (data.gatescope === VIEW && typeof data.view === 'object' && data.view !== null)
      report(data.view as Record<string, unknown>)
    else fitHeight(frame, data, maxHeight())
  }
  const listeners = FIELDS.map((name) => [`change:${name}`, () => isReporting || show([name])] as const)

  window.addEventListener('message', receive)
  for (const [event, listener] of listeners) model.on(event, listener)
  frame.srcdoc = String(model.get('document'))
  el.append(frame)
  return () => {
    window.removeEventListener('message', receive)
    for (const [event, listener] of listeners) model.off(event, listener)
    frame.remove()
  }
}

export default { render }
