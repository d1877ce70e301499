// The errors of a source.

/** A failed request: `problem` is a sentence for the reader; `lost` is true if the server did not answer at all. */
export class SourceError extends Error {
  constructor(
    readonly problem: string,
    readonly lost = false,
    /** The code of the error, if it has one. */
    readonly code: string | null = null,
  ) {
    super(problem)
  }
}

/** Something that this source does not compute; `problem` has the command that does. */
export class UnavailableError extends SourceError {}

/** Return the sentence of whatever was thrown. */
export const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
