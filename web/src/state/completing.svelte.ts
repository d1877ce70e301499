// The list of the most probable words or lines at the caret, as in an editor.
import type { Run } from '../data/run'
import type { Completion, Source } from '../data/source'
import { sentenceOf } from '../data/source-error'
import type { Hold } from '../data/view'
import { boundariesOf, columnAt } from '../model/caret'

export type Completed = 'word' | 'line'

interface Explored {
  readonly source: Source
  readonly run: Run | null
  readonly text: string
  readonly loader: { readonly holds: readonly Hold[]; readonly checkpoint: number | null }
  type: (text: string, caret: number | null) => void
}

export class Completing {
  /** The field whose text is completed; null while the list is closed. */
  field = $state.raw<HTMLTextAreaElement | null>(null)
  what = $state<Completed>('word')
  items = $state.raw<readonly Completion[]>([])
  chosen = $state(0)
  working = $state(false)
  problem = $state<string | null>(null)
  #caret = 0
  #stop: AbortController | null = null

  constructor(private readonly explorer: Explored) {}

  /** Open the list at the caret of a field. */
  open(field: HTMLTextAreaElement): void {
    this.field = field
    field.focus({ preventScroll: true })
    void this.refresh()
  }

  close(): void {
    this.#stop?.abort()
    this.field = null
    this.items = []
    this.problem = null
  }

  choose(what: Completed): void {
    this.what = what
    void this.refresh()
  }

  move(by: number): void {
    const count = this.items.length
    if (count) this.chosen = (this.chosen + by + count) % count
  }

  /** Put a completion into the text at the caret. */
  take(place = this.chosen): void {
    const { field, explorer } = this
    const item = this.items[place]
    if (!field || !item) return
    const caret = this.#caret + item.text.length
    explorer.type(explorer.text.slice(0, this.#caret) + item.text + explorer.text.slice(this.#caret), caret)
    this.close()
    queueMicrotask(() => field.setSelectionRange(caret, caret))
  }

  /** Search again: the text or the caret has moved. */
  async refresh(): Promise<void> {
    const { field, explorer, what } = this
    const { run, text, loader } = explorer
    if (!field || !run) return
    this.#stop?.abort()
    const stop = (this.#stop = new AbortController())
    this.#caret = field.selectionStart
    const { holds, checkpoint } = loader
    const isAtEnd = this.#caret === text.length
    const inColumns = run.unit === 'character' || run.unit === 'byte'
    // Words have no columns in their field: what follows the caret is left out.
    const place = isAtEnd
      ? { text }
      : inColumns
        ? { text, steps: columnAt(boundariesOf(text, run.unit), this.#caret) }
        : { text: text.slice(0, this.#caret) }
    this.working = true
    this.problem = null
    try {
      const items = await this.explorer.source.completions(
        run.name,
        { ...place, what, holds, checkpoint },
        { signal: stop.signal },
      )
      if (stop.signal.aborted) return
      this.items = items
      this.chosen = 0
    } catch (error) {
      if (stop.signal.aborted) return
      this.items = []
      this.problem = sentenceOf(error)
    } finally {
      if (this.#stop === stop) this.working = false
    }
  }
}
