// Features of the shown text: the list of all, and the values of some over the steps.
import { readTensors } from './safetensors'

export interface Feature {
  name: string
  title: string
  kind: 'binary' | 'count' | 'category'
  categories: string[]
}

export interface Track {
  name: string
  title: string
  kind: 'binary' | 'count'
  values: Uint8Array | Float32Array
  /** Largest finite value, at least 1: the full height of the bars. */
  most: number
}

export interface Tracks {
  features: Feature[]
  tracks: (Track | null)[]
}

export function readTracks(bytes: ArrayBuffer): Tracks {
  const { metadata, tensors } = readTensors(bytes)
  const descriptions = JSON.parse(metadata['found'] ?? '[]') as (Pick<Track, 'name' | 'title' | 'kind'> | null)[]
  const tracks = descriptions.map((about, k) => {
    const values = tensors.get(String(k))?.data
    if (!about || !values || values instanceof Int32Array) return null
    let max = 1
    for (const value of values) if (value > max) max = value
    return { ...about, values, most: max }
  })
  return { features: JSON.parse(metadata['features'] ?? '[]') as Feature[], tracks }
}

/** Return the choices of a list of features: each category of a feature is a choice of its own. */
export function featureChoices(features: Feature[]): { name: string; title: string }[] {
  return features.flatMap((feature) =>
    feature.kind === 'category'
      ? feature.categories.map((category) => ({
          name: `${feature.name}=${category}`,
          title: `${feature.title}: ${category}`,
        }))
      : [{ name: feature.name, title: feature.title }],
  )
}
