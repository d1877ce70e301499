// A network in words: what it reads, what it predicts, its layers and its loss.
import type { Readout, Summary, Unit } from '../data/run'

/** What one step is called. */
export function stepWord(unit: Unit): string {
  return unit === 'number' ? 'line of numbers' : unit === 'byte' ? 'character' : unit
}

export function inWords(unit: Unit): boolean {
  return unit === 'word' || unit === 'token'
}

/** What a network reads, counted: 19 symbols, 4,000 words, 2 numbers a step. */
export function reads(unit: Unit, symbols: number): string {
  const count = symbols.toLocaleString('en-US')
  const many = symbols === 1 ? '' : 's'
  if (unit === 'number') return `${count} number${many} a step`
  return inWords(unit) ? `${count} ${unit}${many}` : `${count} symbol${many}`
}

/** What it says: nothing to add of symbols; 2 classes, 12 numbers. */
export function says({ kind, names, reads }: Readout): string {
  if (kind === 'symbols') return ''
  const what =
    kind === 'classes' ? (names.length === 1 ? 'class' : 'classes') : names.length === 1 ? 'number' : 'numbers'
  const said = names.length <= FEW ? names.join(', ') : `${names.length} ${what}`
  return ` → ${said}, ${reads === 'last step' ? 'once at the end' : 'after every step'}`
}

/** Layers, counted; two that read in both directions are one layer that does. */
export function layersOf(layers: { neurons: number; reverse: boolean; stacked?: boolean }[], and = ' and '): string {
  const forward = layers.filter((layer) => !layer.reverse || layer.stacked)
  const alone = layers.filter((layer) => layer.stacked).length
  const both =
    (forward.length < layers.length ? ', read in both directions' : '') +
    (alone ? (alone === layers.length ? ', read from the end' : `, ${alone} of them read from the end`) : '')
  const sizes = [...new Set(forward.map((layer) => layer.neurons.toLocaleString('en-US')))].join(and)
  const neurons = sizes === '1' ? 'neuron' : 'neurons'
  return `${forward.length} layer${forward.length === 1 ? '' : 's'} of ${sizes} ${neurons}${both}`
}

/** What a loss is measured in. */
export function lossUnit({ readout }: { readout: Readout }): string {
  if (readout.kind === 'numbers') return readout.quantiles.length ? ' pinball loss' : ' squared error'
  return ` nats per ${readout.kind === 'symbols' ? 'symbol' : 'answer'}`
}

export const FEW = 3

/** A warning where a network predicts worse than the guess that knows only how often each symbol occurs; null elsewhere. */
export function belowBaseline({ score, baseline }: Pick<Summary, 'score' | 'baseline'>): string | null {
  if (!score || baseline === null || !(score.value > baseline)) return null
  return (
    `This network predicts worse (${score.value.toFixed(3)} nats) than guessing by how often each symbol occurs ` +
    `(${baseline.toFixed(3)} nats): its weights or its symbols may have been read wrongly.`
  )
}
