// One step over all sequences: of the held-out text, or of the text of the page.
import type { Snapshot } from '../data/study'
import { inWords } from '../model/descriptions'
import { type ReadSequences, snapshotOf } from '../model/snapshots'
import type { Explorer } from './explorer.svelte'

/** The snapshot that the address asks for. It is made by a component, and ends with it. */
export class SnapshotView {
  constructor(private readonly explorer: Explorer) {}

  /** Whether the network reads separate sequences. */
  applies = $derived.by(() => this.explorer.run !== null && this.explorer.run.end !== null)
  /** The text that is read: that of the page where the held-out text cannot be read. */
  over = $derived.by(() => (this.explorer.studies.snapshot.state === 'unavailable' ? 'text' : this.explorer.state.over))
  value = $derived.by<Snapshot | null>(() => {
    const { explorer } = this
    const { layer, signal, picture } = explorer
    if (!layer || !signal) return null
    if (this.over === 'held-out') {
      const { value } = explorer.studies.snapshot
      return value?.layer === layer.name && value.signal === signal.name ? value : null
    }
    const name = explorer.shownSignal?.name
    if (!picture || picture.layer.name !== layer.name || name !== signal.name || !picture.trace.steps) return null
    const names = { layer: layer.name, signal: signal.name }
    return snapshotOf(this.#read(), explorer.values, names, explorer.state.at)
  })

  /** Ask for the held-out text, unless the page's own text is chosen. */
  request(): void {
    const { run, layer, signal, hasWeights, state, studies } = this.explorer
    if (!this.applies || !run || !layer || !signal || !hasWeights || state.over !== 'held-out') return
    const at = state.at === null ? {} : { at: state.at }
    studies.snapshot.request(run.name, { study: 'snapshot', layer: layer.name, signal: signal.name, ...at }, true)
  }

  #read(): ReadSequences {
    const { run, picture } = this.explorer
    const { labels, start } = picture!.trace
    return { labels, start, end: run?.end ?? '', between: inWords(run?.unit ?? 'character') ? ' ' : '' }
  }
}
