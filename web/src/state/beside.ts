// What stands beside the shown network, in words, and the view with both sides exchanged.
import type { Beside, Pairing, ViewState } from '../data/view'
import { text } from '../messages/text'

/** Return how the neurons are paired: those of another run by correlation, those of one network by their number. */
export function pairingOf({ beside, pairs }: Pick<ViewState, 'beside' | 'pairs'>): Pairing {
  return pairs ?? (beside?.kind === 'run' ? 'matched' : 'number')
}

/** Name the weights of a training step; null for the best ones. */
export const weightsName = (step: number | null): string =>
  step === null
    ? text('WEIGHTS_NAME_BEST')
    : step === 0
      ? text('WEIGHTS_NAME_UNTRAINED')
      : text('WEIGHTS_NAME_AFTER', { steps: step })

/** Name what stands beside the network. */
export function besideName(beside: Beside): string {
  if (beside.kind === 'run') return beside.name
  if (beside.kind === 'checkpoint') return weightsName(beside.step)
  return beside.kind === 'text' ? text('COMPARE_TEXT_B') : text('COMPARE_UNHELD')
}

/** Return the names of both sides. */
export function sideNames({ beside, run, checkpoint }: ViewState): { a: string; b: string } {
  if (!beside) return { a: run ?? '', b: '' }
  const names = {
    run: run ?? '',
    checkpoint: weightsName(checkpoint),
    text: text('COMPARE_TEXT_A'),
    holds: text('COMPARE_HELD'),
  }
  return { a: names[beside.kind], b: besideName(beside) }
}

/**
 * Return the change that exchanges both sides; null if they cannot be exchanged.
 *
 * @param words the text on the page
 */
export function exchanged(state: ViewState, words: string): Partial<ViewState> | null {
  const { beside, run, checkpoint } = state
  if (beside?.kind === 'run' && run !== null) {
    const { view, layer, signal, zoom, difference, pairs } = state
    return {
      run: beside.name,
      beside: { kind: 'run', name: run },
      text: words,
      view,
      layer,
      signal,
      zoom,
      difference,
      pairs,
    }
  }
  if (beside?.kind === 'checkpoint')
    return { checkpoint: beside.step, beside: { kind: 'checkpoint', step: checkpoint } }
  if (beside?.kind === 'text') return { text: beside.text, beside: { kind: 'text', text: words } }
  return null
}

/** The change that puts something beside the network; the strips show it. */
export const puttingBeside = (state: ViewState, beside: Beside): Partial<ViewState> => ({
  beside,
  pairs: null,
  ...(state.view === 'network' ? {} : { view: 'network' as const }),
})
