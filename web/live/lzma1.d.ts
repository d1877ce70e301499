// What lzma1 declares are its sources, which do not pass the checks of this project.
export declare const CRC32_TABLE: readonly number[]
export declare function compress(data: Uint8Array, mode?: number): Uint8Array
export declare function decompress(data: Uint8Array): Uint8Array
