// Labels of neurons: the features that they follow.
import { rows, type Table } from '../data/study'

export interface Label {
  layer: string
  signal: string
  neuron: number
  feature: string
  title: string
  measure: string
  score: number
  lag: number
  direction: number
  place: number
}

/** How much a label says, comparable between the measures: 0 = nothing (an AUROC of 1/2), 1 = all. */
export function strength(label: Label): number {
  return Math.max(0, Math.min(1, label.measure === 'AUROC' ? 2 * label.score - 1 : label.score))
}

/** The score of a label with its measure: "AUROC 0.84". */
export function scored(label: Label): string {
  return `${label.measure === 'R2' ? 'R²' : label.measure} ${label.score.toFixed(2)}`
}

/** As it is printed on a chip: an arrow where the neuron is low instead of high. */
export function short(label: Label): string {
  return (label.direction < 0 ? '↓ ' : '') + label.title
}

/** Whether what was typed into the filter is a part of a label. */
export function matches(label: Label, filter: string): boolean {
  const wanted = filter.trim().toLowerCase()
  return label.title.toLowerCase().includes(wanted) || label.feature.toLowerCase().includes(wanted)
}

export class Labels {
  /** AUROC and R2 -> the score that features shifted along the text reach only by chance; null where there is none. */
  readonly chance: Record<string, number | null>
  readonly steps: number
  readonly features: ReadonlyMap<string, string>
  readonly #of = new Map<string, Label[]>()

  constructor(table: Table) {
    const features = new Map<string, string>()
    for (const row of rows(table)) {
      const label = row as unknown as Label
      const key = `${label.layer} ${label.signal} ${label.neuron}`
      const list = this.#of.get(key)
      if (list) list.push(label)
      else this.#of.set(key, [label])
      features.set(label.feature, label.title)
    }
    for (const list of this.#of.values()) list.sort((a, b) => a.place - b.place)
    this.features = features
    const chance = table.about['chance'] as { least?: Record<string, number | null> } | undefined
    this.chance = chance?.least ?? {}
    const steps = table.about['steps'] as { held_out?: number } | undefined
    this.steps = steps?.held_out ?? 0
  }

  /** The labels of one signal of a neuron, the best first. */
  of(layer: string, signal: string, neuron: number): Label[] {
    return this.#of.get(`${layer} ${signal} ${neuron}`) ?? []
  }

  /** The best label that fits the filter. */
  shown(layer: string, signal: string, neuron: number, filter: string): Label | null {
    return this.of(layer, signal, neuron).find((label) => matches(label, filter)) ?? null
  }
}

/** What a label says in full, a line each. */
export function explain(label: Label, chance: Record<string, number | null>): string[] {
  const name = label.measure === 'R2' ? 'R²' : label.measure
  const least = chance[label.measure]
  const sides = label.measure === 'AUROC' ? (label.direction < 0 ? 'lower where it is' : 'higher where it is') : null
  const lag =
    label.lag === 0
      ? null
      : label.lag > 0
        ? `${label.lag} step${label.lag === 1 ? '' : 's'} behind it`
        : `${-label.lag} step${label.lag === -1 ? '' : 's'} ahead of it`
  return [
    label.title,
    `${name} ${label.score.toFixed(3)}${typeof least === 'number' ? `, shown from ${least.toFixed(3)} on (chance)` : ''}`,
    ...[sides, lag].filter((part) => part !== null),
    label.feature,
  ]
}
