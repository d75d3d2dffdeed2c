package hub

// backlog is what a full sink has not taken: shared buffers, and how far the
// first has been written.
type backlog struct {
	bufs  [][]byte
	off   int
	bytes int
}

func (b *backlog) push(p []byte) {
	b.bufs = append(b.bufs, p)
	b.bytes += len(p)
}

// scratchLen is how much of a backlog goes into one write.
const scratchLen = 64 << 10

// front returns the bytes to write next: the first buffer if it is long or
// alone, else as many of them as fit, copied into scratch.
func (b *backlog) front(scratch []byte) []byte {
	head := b.bufs[0][b.off:]
	if len(b.bufs) == 1 || len(head) >= cap(scratch)/2 {
		return head
	}
	out := append(scratch[:0], head...)
	for _, p := range b.bufs[1:] {
		if len(out)+len(p) > cap(out) {
			break
		}
		out = append(out, p...)
	}
	return out
}

// take marks n bytes as written.
func (b *backlog) take(n int) {
	b.bytes -= n
	b.off += n
	done := 0
	for done < len(b.bufs) && b.off >= len(b.bufs[done]) {
		b.off -= len(b.bufs[done])
		b.bufs[done] = nil
		done++
	}
	b.bufs = b.bufs[done:]
}
