// Means of steps that share a pixel, for texts that are longer than the window is wide.

const cache = new WeakMap<ArrayLike<number> & object, Float32Array>()

/** Return the mean of the values of the steps of each pixel, [pixels]; NaN where a pixel has no value. */
export function pixelMeans(values: ArrayLike<number> & object, pixels: number): Float32Array {
  const cached = cache.get(values)
  if (cached?.length === pixels) return cached
  const means = new Float32Array(pixels)
  const steps = values.length
  for (let p = 0; p < pixels; p++) {
    const from = Math.floor((p * steps) / pixels)
    const to = Math.max(from + 1, Math.floor(((p + 1) * steps) / pixels))
    let [sum, count] = [0, 0]
    for (let t = from; t < to && t < steps; t++) {
      const value = values[t]!
      if (Number.isNaN(value)) continue
      sum += value
      count++
    }
    means[p] = count ? sum / count : NaN
  }
  cache.set(values, means)
  return means
}
