// Labels of neurons: the features that they follow.
import type { Track } from '../data/features'
import { rows, type Table } from '../data/study'
import { text } from '../messages/text'

export interface Label {
  layer: string
  signal: string
  neuron: number
  feature: string
  title: string
  /** At most 24 letters; missing in tables of earlier versions. */
  short?: string
  /** Place among the neurons with this first label, from 1; missing in tables of earlier versions. */
  rank?: number
  measure: string
  score: number
  lag: number
  direction: number
  place: number
}

/** Return the strength of a label, comparable between measures: 0 = chance (an AUROC of 1/2), 1 = always. */
export function strength(label: Label): number {
  return Math.max(0, Math.min(1, label.measure === 'AUROC' ? 2 * label.score - 1 : label.score))
}

/** Return the printed name of a measure: R² for R2. */
export function measureName(measure: string): string {
  return measure === 'R2' ? 'R²' : measure
}

/** Return the score of a label with its measure: "AUROC 0.84". */
export function scoreText(label: Label): string {
  return text('LABEL_SCORE', { measure: measureName(label.measure), score: label.score.toFixed(2) })
}

/**
 * Return the text of a chip: the short name, after an arrow if the neuron is low where the feature is on. Neurons after
 * the best one with the same label are numbered, so that no two chips read the same.
 */
export function chipText(label: Label): string {
  const name = label.short ?? label.title
  const title = (label.rank ?? 0) > 1 ? text('LABEL_RANKED', { name, rank: label.rank! }) : name
  return label.direction < 0 ? text('LABEL_LOW', { title }) : title
}

/** Return the first step at which a feature is on, or the one with the highest count; null if there is none. */
export function firstOn({ values }: Pick<Track, 'values'>): number | null {
  let best: number | null = null
  for (let t = 0; t < values.length; t++) if (values[t]! > (best === null ? 0 : values[best]!)) best = t
  return best
}

/** Whether a name of a label contains a filter. */
export function matchesFilter(label: Label, filter: string): boolean {
  const part = filter.trim().toLowerCase()
  return [label.title, label.short ?? '', label.feature].some((name) => name.toLowerCase().includes(part))
}

export class Labels {
  /** Measure (AUROC, R2) -> the score that shifted features reach by chance; null if unknown. */
  readonly chance: Record<string, number | null>
  /** Steps of the held-out text. */
  readonly steps: number
  readonly #labelOfFeature = new Map<string, Label>()
  readonly #byNeuron = new Map<string, Label[]>()

  constructor(table: Table) {
    for (const row of rows(table)) {
      const label = row as unknown as Label
      const key = `${label.layer} ${label.signal} ${label.neuron}`
      const list = this.#byNeuron.get(key)
      if (list) list.push(label)
      else this.#byNeuron.set(key, [label])
      this.#labelOfFeature.set(label.feature, label)
    }
    for (const list of this.#byNeuron.values()) list.sort((a, b) => a.place - b.place)
    const chance = table.about['chance'] as { least?: Record<string, number | null> } | undefined
    this.chance = chance?.least ?? {}
    const steps = table.about['steps'] as { held_out?: number } | undefined
    this.steps = steps?.held_out ?? 0
  }

  /** Feature -> title. */
  get features(): ReadonlyMap<string, string> {
    return new Map([...this.#labelOfFeature].map(([feature, label]) => [feature, label.title]))
  }

  /** Return the labels of one signal of a neuron, the best first. */
  of(layer: string, signal: string, neuron: number): Label[] {
    return this.#byNeuron.get(`${layer} ${signal} ${neuron}`) ?? []
  }

  /** Return the best label of one signal of a neuron that matches the filter. */
  best(layer: string, signal: string, neuron: number, filter: string): Label | null {
    return this.of(layer, signal, neuron).find((label) => matchesFilter(label, filter)) ?? null
  }
}

/** Explain a label, line by line: title, score, direction, lag and feature. */
export function explainLabel(label: Label, chance: Record<string, number | null>): string[] {
  const measure = measureName(label.measure)
  const score = label.score.toFixed(3)
  const byChance = chance[label.measure]
  const lines = [
    label.title,
    typeof byChance === 'number'
      ? text('LABEL_SCORE_CHANCE', { measure, score, chance: byChance.toFixed(3) })
      : text('LABEL_SCORE', { measure, score }),
  ]
  if (label.measure === 'AUROC') lines.push(label.direction < 0 ? text('LABEL_LOWER') : text('LABEL_HIGHER'))
  if (label.lag > 0) lines.push(text('LABEL_AFTER', { steps: label.lag }))
  if (label.lag < 0) lines.push(text('LABEL_BEFORE', { steps: -label.lag }))
  return [...lines, label.feature]
}
