// The signal that is shown first.
import type { Layer, Signal } from '../data/run'

/**
 * Return the signal that is shown first: the cell state, which is the memory. If no sequence ever ends, it is the
 * hidden state: a few cell states then grow without bound, and the others would be pale on the common scale.
 */
export function mainSignal(layer: Layer, end: string | null): Signal | null {
  const find = (name: string): Signal | undefined => layer.signals.find((signal) => signal.name === name)
  return (end !== null && find('c')) || find('h') || layer.signals.at(-1) || null
}
