// A network in words: what it reads, what it predicts, its layers and its loss.
import type { Readout, Summary, Unit } from '../data/run'
import { type Code, text } from '../messages/text'
import { thousands } from './numbers'

/** More outputs than these are counted instead of named. */
export const MAX_NAMED_OUTPUTS = 3

const UNITS: Record<Unit, Code> = {
  character: 'UNIT_CHARACTER',
  byte: 'UNIT_BYTE',
  word: 'UNIT_WORD',
  token: 'UNIT_TOKEN',
  number: 'UNIT_NUMBER',
}

/** Return the noun for what is read in a step; `count` chooses singular or plural. */
export function unitName(unit: Unit, count = 1): string {
  return text(UNITS[unit], { count })
}

/** Return the plural noun for steps: "characters", "words", and "steps" for numbers. */
export function stepsName(unit: Unit): string {
  return unit === 'number' ? text('UNIT_STEP', { count: 2 }) : unitName(unit, 2)
}

/** Whether a step is a word or a token. */
export function inWords(unit: Unit): boolean {
  return unit === 'word' || unit === 'token'
}

/** Describe the inputs of a network: "19 symbols", "4,000 words", "2 numbers per step". */
export function inputsText(unit: Unit, count: number): string {
  if (unit === 'number') return text('READS_NUMBERS', { count })
  if (unit === 'word') return text('READS_WORDS', { count })
  return unit === 'token' ? text('READS_TOKENS', { count }) : text('READS_SYMBOLS', { count })
}

/** Describe the outputs of a network: nothing for symbols, else " → 12 classes, after every step". */
export function outputsText({ kind, names, reads }: Readout): string {
  if (kind === 'symbols') return ''
  const count = names.length
  const counted = kind === 'classes' ? text('PREDICTS_CLASSES', { count }) : text('PREDICTS_NUMBERS', { count })
  const outputs = count <= MAX_NAMED_OUTPUTS ? names.join(text('LIST_NAMES')) : counted
  return reads === 'last step' ? text('PREDICTS_LAST_STEP', { outputs }) : text('PREDICTS_EVERY_STEP', { outputs })
}

/** Describe the layers of a network; a pair that reads in both directions counts as one. */
export function layersText(
  layers: { neurons: number; reverse: boolean; stacked?: boolean }[],
  separator: 'and' | 'comma' = 'and',
): string {
  const counted = layers.filter((layer) => !layer.reverse || layer.stacked)
  const reverse = layers.filter((layer) => layer.stacked).length
  const directions = [
    counted.length < layers.length ? text('LAYERS_BOTH_DIRECTIONS') : '',
    reverse === layers.length ? text('LAYERS_REVERSE') : reverse ? text('LAYERS_SOME_REVERSE', { count: reverse }) : '',
  ].join('')
  const sizes = [...new Set(counted.map((layer) => layer.neurons))].map(thousands)
  const joined =
    separator === 'comma'
      ? sizes.join(text('LIST_NAMES'))
      : sizes.reduce((first, last) => text('LAYERS_AND', { first, last }))
  const neurons = joined === '1' ? 1 : 2
  return text('LAYERS', { layers: counted.length, sizes: joined, neurons, directions })
}

/** Return the unit of the loss of a network. */
export function lossUnit({ readout }: { readout: Readout }): string {
  if (readout.kind === 'numbers') return readout.quantiles.length ? text('LOSS_PINBALL') : text('LOSS_SQUARED')
  return readout.kind === 'symbols' ? text('LOSS_SYMBOL') : text('LOSS_CLASS')
}

/** Return a warning if a network predicts worse than guessing by the frequency of each symbol; null otherwise. */
export function baselineWarning({ score, baseline }: Pick<Summary, 'score' | 'baseline'>): string | null {
  if (!score || baseline === null || !(score.value > baseline)) return null
  return text('BELOW_BASELINE', { loss: score.value.toFixed(3), baseline: baseline.toFixed(3) })
}

/** Return the name of a layer; its direction is part of the name if there are layers of both directions. */
export function layerName({ name, reverse }: { name: string; reverse: boolean }, bidirectional: boolean): string {
  const number = /\d+/.exec(name)?.[0] ?? name
  if (reverse) return text('CONTROLS_LAYER_NAME_REVERSE', { number })
  return bidirectional ? text('CONTROLS_LAYER_NAME_FORWARD', { number }) : text('CONTROLS_LAYER_NAME', { number })
}
