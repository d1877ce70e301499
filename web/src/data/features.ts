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
    let most = 1
    for (const value of values) if (value > most) most = value
    return { ...about, values, most }
  })
  return { features: JSON.parse(metadata['features'] ?? '[]') as Feature[], tracks }
}

/** What can be chosen from a list: categories stand there one by one, as labels name them. */
export function featureChoices(features: Feature[]): { name: string; title: string }[] {
  return features.flatMap((feature) =>
    feature.kind === 'category'
      ? feature.categories.map((one) => ({ name: `${feature.name}=${one}`, title: `${feature.title}: ${one}` }))
      : [{ name: feature.name, title: feature.title }],
  )
}
