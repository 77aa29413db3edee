/** Rice-compressed rows of 16-bit counts. The twin in `twins/rice.ts` defines the results. */

class Bits {
  /** What eight bytes add to a buffer that holds `held` bits. */
  @inline static next(at: usize, held: i32): u64 { return bswap<u64>(load<u64>(at)) >> <u64>held; }
}

/**
 * Decodes tiles of one row each. Up to eight bytes after a tile are read, never used.
 *
 * @param places  [2 × rows] int32: first byte of each tile after `heap`, and its length.
 * @param flip    Exclusive-or of every number: 0x8000 for unsigned counts.
 * @param out     [rows × width] uint16.
 * @returns −1, or the first row whose bytes do not end where its last pixel does.
 */
export function decodeRiceRows(
  heap: usize, places: usize, rows: i32, width: i32, blockSize: i32, flip: i32, out: usize,
): i32 {
  for (let row = 0; row < rows; row++, places += 8, out += <usize>(width << 1)) {
    const length = load<i32>(places, 4);
    if (bytesOfRow(heap + <usize>load<i32>(places), length, width, blockSize, flip, out) != length) return row;
  }
  return -1;
}

/** Bytes that the row's pixels took; −1 when they passed the end by far. */
function bytesOfRow(start: usize, length: i32, width: i32, blockSize: i32, flip: i32, out: usize): i32 {
  let at = start, buffer: u64 = 0, held = 0;
  const end = start + <usize>length;
  buffer = Bits.next(at, held); at += <usize>((63 - held) >> 3); held |= 56;
  let last = <i32>(buffer >> 48);
  buffer <<= 16;
  held -= 16;
  for (let x = 0; x < width; x += blockSize) {
    if (at > end + 8) return -1;
    buffer |= Bits.next(at, held); at += <usize>((63 - held) >> 3); held |= 56;
    const low = <i32>(buffer >> 60) - 1, after = out + <usize>(min(blockSize, width - x) << 1);
    buffer <<= 4;
    held -= 4;
    if (low < 0) {
      for (; out < after; out += 2) store<u16>(out, <u16>(last ^ flip));
    } else if (low >= 14) {
      for (; out < after; out += 2) {
        buffer |= Bits.next(at, held); at += <usize>((63 - held) >> 3); held |= 56;
        const difference = <i32>(buffer >> 48);
        buffer <<= 16;
        held -= 16;
        last = last + ((difference >> 1) ^ -(difference & 1));
        store<u16>(out, <u16>(last ^ flip));
        if (at > end + 8) return -1;
      }
    } else {
      for (; out < after; out += 2) {
        buffer |= Bits.next(at, held); at += <usize>((63 - held) >> 3); held |= 56;
        let zeros = 0, run = <i32>clz(buffer);
        while (run >= held - 14) {
          // The end of the run, or the low bits after it, may not be held yet.
          const used = min(run, held);
          zeros += used;
          buffer = used == 64 ? 0 : buffer << <u64>used;
          held -= used;
          if (at > end + 8) return -1;
          buffer |= Bits.next(at, held); at += <usize>((63 - held) >> 3); held |= 56;
          run = <i32>clz(buffer);
        }
        buffer <<= <u64>run;
        buffer <<= 1;
        const difference = ((zeros + run) << low) | <i32>(buffer >> 1 >> <u64>(63 - low));
        buffer <<= <u64>low;
        held -= run + 1 + low;
        last = last + ((difference >> 1) ^ -(difference & 1));
        store<u16>(out, <u16>(last ^ flip));
      }
    }
  }
  return (<i32>((at - start) << 3) - held + 7) >> 3;
}
