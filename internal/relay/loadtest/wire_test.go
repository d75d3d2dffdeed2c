package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

// unchunk decodes pieces.
func unchunk(pieces ...[]byte) (data []byte, err error) {
	var c chunker
	for _, p := range pieces {
		for len(p) > 0 {
			d, rest, err := c.next(p)
			if err != nil {
				return data, err
			}
			data, p = append(data, d...), rest
		}
	}
	return data, nil
}

func TestChunksSurviveEveryCut(t *testing.T) {
	all := []byte("5\r\nhello\r\n1;name=value\r\n \r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n")
	for i := range all {
		got, err := unchunk(all[:i], all[i:])
		if string(got) != "hello abcdefghijklmnopqrstuvwxyz" || !errors.Is(err, errStreamEnded) {
			t.Fatalf("cut at %d: got %q, %v", i, got, err)
		}
	}
}

func TestMalformedChunksAreRefused(t *testing.T) {
	for _, in := range []string{"x\r\n", "\r\n\r\n", "1\r\nabc", "fffffffffff\r\n", "-1\r\n"} {
		if got, err := unchunk([]byte(in)); !errors.Is(err, errChunk) {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
}

// FuzzChunker compares with the standard library on what that accepts. It
// accepts more: a sloppy server is not what the load generator looks for.
func FuzzChunker(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint64(1))
	f.Add([]byte("0 \r\n"), uint64(1))
	f.Add([]byte("a;b=c\r\n0123456789\r\n"), uint64(2))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		got, err := unchunk(cut(in, seed)...)
		want, wantErr := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if wantErr == nil && (!errors.Is(err, errStreamEnded) || !bytes.Equal(got, want)) {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	})
}

const streamHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\nevent: stream-open\ndata: {}\n\n\r\n"

func TestStreamIsOpenOnlyWhenReady(t *testing.T) {
	e := expect{status: 200, ready: []byte("stream-open"), size: 40, padding: paddingBlock()}
	ready := strings.Index(streamHead, "stream-open") + len("stream-open")
	for i := range len(streamHead) {
		var in inbound
		l := newLedger(1, 1, 1)
		if err := in.feed([]byte(streamHead[:i]), &e, l, 0); err != nil || in.open != (i >= ready) {
			t.Fatalf("after %d bytes: open %v, %v; want open from %d", i, in.open, err, ready)
		}
		data := body(40, record{seq: l.send(0)})
		rest := fmt.Appendf([]byte(streamHead[i:]), "%x\r\n%s\r\n", len(data), data)
		if err := in.feed(rest, &e, l, 0); err != nil || l.open != 0 {
			t.Fatalf("cut at %d: %d messages missing, %v", i, l.open, err)
		}
	}
}

func TestStreamThatDoesNotBeginRightIsRefused(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"another status", "HTTP/1.1 403 No\r\n\r\nready", "wanted status 200"},
		{"not HTTP", "SSH-2.0\r\n\r\nready", "wanted status 200"},
		{"an endless head", "HTTP/1.1 200 OK\r\n" + strings.Repeat("x", maxEarly), "no sign of readiness"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := expect{status: 200, ready: []byte("ready"), size: 40}
			err := new(inbound).feed([]byte(tt.in), &e, newLedger(1, 1, 1), 0)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAnswersAreCountedAcrossCuts(t *testing.T) {
	all := []byte(strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nPublished\n", 3))
	for i := range all {
		var a answers
		first, err1 := a.count(all[:i], []byte("HTTP/1.1 200"))
		second, err2 := a.count(all[i:], []byte("HTTP/1.1 200"))
		if err := errors.Join(err1, err2); err != nil || first+second != 3 {
			t.Fatalf("cut at %d: %d and %d answers, %v", i, first, second, err)
		}
	}
}

func TestRefusedPublishIsAnError(t *testing.T) {
	var a answers
	if _, err := a.count([]byte("HTTP/1.1 403 Forbidden\r\n\r\n"), []byte("HTTP/1.1 200")); err == nil {
		t.Error("a refused publish counts as published")
	}
}
