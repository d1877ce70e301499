// What stands beside the shown network, in the address of the page: `with=KIND:VALUE`.
//
//     with=run:counter-gru     another run
//     with=checkpoint:400      the same run with the weights of a training step; `best` for its best weights
//     with=text:aaXbb          another text; a long one is `stored:` and its name, as in `stored=`
//     with=holds               the network without the holds of this view
import type { Beside } from '../data/view'
import { MAX_ADDRESS_CHARACTERS, storedText, textKey } from './long-texts'

const BEST = 'best'

/** Return what stands beside the network as it stands in the address. */
export function besideText(beside: Beside): string {
  if (beside.kind === 'run') return `run:${beside.name}`
  if (beside.kind === 'checkpoint') return `checkpoint:${beside.step ?? BEST}`
  if (beside.kind === 'holds') return 'holds'
  const { text } = beside
  return text.length > MAX_ADDRESS_CHARACTERS ? `stored:${textKey(text)}` : `text:${text}`
}

/** Return what a part of an address puts beside the network; null if it names nothing, or a text of another window. */
export function parseBeside(part: string): Beside | null {
  const [, kind, value = ''] = /^(\w+)(?::(.*))?$/s.exec(part) ?? []
  if (kind === 'holds' && part === 'holds') return { kind }
  if (kind === 'run' && value) return { kind, name: value }
  if (kind === 'text' && part !== kind) return { kind, text: value }
  if (kind === 'checkpoint' && value === BEST) return { kind, step: null }
  if (kind === 'checkpoint' && /^\d{1,9}$/.test(value)) return { kind, step: Number(value) }
  const stored = kind === 'stored' ? storedText(value) : null
  return stored === null ? null : { kind: 'text', text: stored }
}
