package loadtest

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
)

// Bits and sizes of a frame's header (RFC 6455, section 5.2).
const (
	finalBinary = 0x82 // a whole message: nothing here needs several frames
	masked      = 0x80
	length16    = 126
	length64    = 127
	maskLen     = 4
	maxContent  = 1<<16 - 1
)

// maskKey is the key of every frame sent. No zero in it, so that a server that
// does not unmask is found out.
const maskKey = "\xa5\x3c\x69\x96"

// frameError refuses a frame by its first two bytes.
func frameError(p []byte) error {
	return fmt.Errorf("frame beginning with %x: want a whole, unmasked, binary one of at most %d bytes", p[:2], maxContent)
}

// frameSize is the length in bytes of the header of a server's frame and of the
// whole frame; both are 0 while p is too short to tell.
func frameSize(p []byte) (header, whole int, err error) {
	switch {
	case len(p) < 2:
		return 0, 0, nil
	case p[0] != finalBinary || p[1]&masked != 0 || p[1] == length64:
		return 0, 0, frameError(p)
	case p[1] < length16:
		return 2, 2 + int(p[1]), nil
	case len(p) < 4:
		return 0, 0, nil
	}
	return 4, 4 + int(binary.BigEndian.Uint16(p[2:])), nil
}

// frames finds the frames of a server in a connection that arrives in arbitrary
// pieces. The zero value stands before the first frame.
type frames struct {
	held []byte // the beginning of a frame that a piece cut off, one frame at most
	done bool   // held is a frame that next has returned
}

// next returns the content of the first frame in p and what follows that frame.
// ok is false when p holds no further complete frame; p is then consumed. The
// content is valid until the next call.
func (f *frames) next(p []byte) (content, rest []byte, ok bool, err error) {
	if f.done {
		f.held, f.done = nil, false // idle connections are many, so nothing is kept
	}
	if len(f.held) > 0 {
		return f.complete(p)
	}
	header, whole, err := frameSize(p)
	if err != nil {
		return nil, nil, false, err
	}
	if header == 0 || whole > len(p) {
		f.held = append(f.held, p...)
		return nil, nil, false, nil
	}
	return p[header:whole], p[whole:], true, nil
}

// complete continues the frame in held with p, by single bytes until the header
// shows how much belongs to the frame.
func (f *frames) complete(p []byte) (content, rest []byte, ok bool, err error) {
	header, whole, err := frameSize(f.held)
	for header == 0 && err == nil && len(p) > 0 {
		f.held, p = append(f.held, p[0]), p[1:]
		header, whole, err = frameSize(f.held)
	}
	if header == 0 || err != nil {
		return nil, nil, false, err
	}
	n := min(whole-len(f.held), len(p))
	f.held, p = append(f.held, p[:n]...), p[n:]
	if len(f.held) < whole {
		return nil, nil, false, nil
	}
	f.done = true
	return f.held[header:], p, true, nil
}

// appendMaskedHeader begins a client's frame with size bytes of content.
func appendMaskedHeader(dst []byte, size int) []byte {
	dst = append(dst, finalBinary)
	if size < length16 {
		dst = append(dst, masked|byte(size))
	} else {
		dst = binary.BigEndian.AppendUint16(append(dst, masked|length16), uint16(size))
	}
	return append(dst, maskKey...)
}

// maskedFrame is a client's frame. Content of more than maxContent is not used.
func maskedFrame(content []byte) []byte {
	frame := appendMaskedHeader(nil, len(content))
	header := len(frame)
	frame = append(frame, content...)
	mask(frame[header:], maskBlock([]byte(maskKey), len(content)))
	return frame
}

// maskBlock repeats a key over at least size bytes.
func maskBlock(key []byte, size int) []byte { return bytes.Repeat(key, size/maskLen+1) }

// mask applies a block to content in place, which also undoes it.
func mask(content, block []byte) { subtle.XORBytes(content, content, block) }

// errClientFrame is what the floor cannot read.
var errClientFrame = errors.New("a frame the floor does not know")

// cutMasked unmasks the first frame in p in place and returns its content and
// what follows; ok is false while the frame is not complete.
func cutMasked(p []byte) (content, rest []byte, ok bool, err error) {
	if len(p) < 2 {
		return nil, p, false, nil
	}
	if p[0] != finalBinary || p[1]&masked == 0 || p[1] == masked|length64 {
		return nil, nil, false, errClientFrame
	}
	header, size := 2+maskLen, int(p[1]&^masked)
	if size == length16 {
		if len(p) < 4 {
			return nil, p, false, nil
		}
		header, size = 4+maskLen, int(binary.BigEndian.Uint16(p[2:]))
	}
	if len(p) < header+size {
		return nil, p, false, nil
	}
	content = p[header : header+size]
	unmask(content, p[header-maskLen:header])
	return content, p[header+size:], true, nil
}

// unmask applies a key eight bytes at a time: the floor's clients have keys of
// their own, so there is no block to use.
func unmask(content, key []byte) {
	k := binary.LittleEndian.Uint32(key)
	wide := uint64(k)<<32 | uint64(k)
	for ; len(content) >= 8; content = content[8:] {
		binary.LittleEndian.PutUint64(content, binary.LittleEndian.Uint64(content)^wide)
	}
	for i := range content {
		content[i] ^= key[i%maskLen]
	}
}

// appendServerFrame writes an unmasked frame of at most maxContent bytes.
func appendServerFrame(dst, content []byte) []byte {
	dst = append(dst, finalBinary)
	if len(content) < length16 {
		dst = append(dst, byte(len(content)))
	} else {
		dst = binary.BigEndian.AppendUint16(append(dst, length16), uint16(len(content)))
	}
	return append(dst, content...)
}
