// Findings of a run: measured sentences, each with its evidence and the place to see it.
import type { View } from './view'

export interface FindingPlace {
  view: View
  /** The text that the network reads; null for the first example of the run. */
  text: string | null
  layer: string | null
  signal: string | null
  neuron: number | null
  step: number | null
  feature: string | null
  /** The training step of the weights; null for the best ones. Older live files lack it. */
  checkpoint?: number | null
}

/** The values of one neuron over the steps of a picture. */
export interface FindingStrip {
  neuron: number
  values: number[]
}

export interface FindingPicture {
  labels: string[]
  /** The step of the place's text at which the picture begins. */
  first: number
  /** The neuron of the finding comes first. */
  strips: FindingStrip[]
  low: number | null
  high: number | null
}

export interface Evidence {
  /** "share": of the cases in which the sentence is true; "mean": the sentence prints means. */
  measure: 'AUROC' | 'R2' | 'mean' | 'share'
  score: number
  /** The score that chance reaches; null if it was not measured. */
  chance: number | null
  /** The steps or cases that it was measured on. */
  steps: number
}

export interface Finding {
  /** What it is about, such as "counts". */
  kind: string
  /** The code of its sentence. */
  code: string
  values: Record<string, string | number>
  evidence: Evidence | null
  place: FindingPlace
  picture: FindingPicture | null
}
