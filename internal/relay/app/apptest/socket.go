package apptest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// socket is a WebSocket on /mqtt, spoken frame by frame: the suite sends what a
// library would not.
type socket struct {
	body     io.ReadWriteCloser
	frames   chan string // what came, as talk writes it; closed at the end
	protocol string
}

// The opcodes of RFC 6455, 11.8, and the bit of a message's last frame.
const (
	opContinued = 0
	opText      = 1
	opBinary    = 2
	opClose     = 8
	opPing      = 9

	fin = 0x80
)

// dial opens a WebSocket with these offers of a subprotocol, one header each. A
// goroutine reads it until it ends or the test does.
func (s *service) dial(t *testing.T, offers ...string) *socket {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/mqtt", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	if len(offers) > 0 {
		req.Header["Sec-Websocket-Protocol"] = offers
	}
	resp, err := s.sockets.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the handshake is answered by %d", resp.StatusCode)
	}
	checkHeader(t, resp.Header, append(cors(), "Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Extensions", "")...)
	k := &socket{body: body, frames: make(chan string, 1024), protocol: resp.Header.Get("Sec-WebSocket-Protocol")}
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.read()
	}()
	t.Cleanup(func() {
		cancel()
		_ = body.Close()
		<-done
	})
	return k
}

// read sends on every frame. The channel has room for all that a test causes.
func (k *socket) read() {
	defer close(k.frames)
	r := bufio.NewReader(k.body)
	for {
		op, payload, err := readFrame(r)
		if err != nil {
			return
		}
		switch {
		case op == fin|opBinary:
			k.frames <- hexOf(payload)
		case op == fin|opClose && len(payload) >= 2:
			k.frames <- strings.TrimSpace(fmt.Sprintf("close %d %s", binary.BigEndian.Uint16(payload), payload[2:]))
		default:
			k.frames <- fmt.Sprintf("frame 0x%02X %s", op, hexOf(payload))
		}
	}
}

// readFrame reads one frame of a server, which is not masked.
func readFrame(r io.Reader) (first byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, nil, err
	}
	first = head[0]
	n := uint64(head[1])
	if wide := map[byte]int{126: 2, 127: 8}[head[1]]; wide > 0 {
		if _, err := io.ReadFull(r, head[:wide]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(append(make([]byte, 8-wide), head[:wide]...))
	}
	payload = make([]byte, min(n, 1<<20))
	_, err = io.ReadFull(r, payload)
	return first, payload, err
}

// write sends one frame with this first byte, masked with zeros, which is as good as any mask here.
func (k *socket) write(t *testing.T, first byte, payload []byte) {
	t.Helper()
	frame := []byte{first}
	if len(payload) < 126 {
		frame = append(frame, 0x80|byte(len(payload)))
	} else {
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(len(payload)))
	}
	frame = append(append(frame, 0, 0, 0, 0), payload...)
	if _, err := k.body.Write(frame); err != nil {
		t.Fatal(err)
	}
}

// talk plays a transcript: "> HEX" sends a binary frame, and after the words
// text, ping and close another one; "< HEX" or "< close CODE" waits for exactly
// that frame, and "< end" for the end of the connection.
func (k *socket) talk(t *testing.T, transcript string) {
	t.Helper()
	for line := range strings.Lines(transcript) {
		line = expand(strings.TrimSpace(line))
		if frame, ok := strings.CutPrefix(line, "> "); ok {
			k.say(t, frame)
		} else if want, ok := strings.CutPrefix(line, "< "); ok {
			k.want(t, want)
		}
	}
}

func (k *socket) say(t *testing.T, frame string) {
	t.Helper()
	kind, rest, _ := strings.Cut(frame, " ")
	op, named := map[string]byte{"text": opText, "ping": opPing, "close": opClose}[kind]
	if !named {
		op, rest = opBinary, frame
	}
	b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	k.write(t, fin|op, b)
}

func (k *socket) want(t *testing.T, want string) {
	t.Helper()
	if got := k.next(t); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// next waits for one frame, or "end".
func (k *socket) next(t *testing.T) string {
	t.Helper()
	select {
	case got, ok := <-k.frames:
		if !ok {
			return "end"
		}
		return got
	case <-time.After(patience):
		t.Fatalf("no frame within %v", patience)
	}
	return ""
}

// expand replaces the words of transcripts: the vectors of section 13.
func expand(line string) string {
	return strings.NewReplacer(
		"{c1}", hexOf(connect("c1", TokenRW)), "{c2}", hexOf(connect("c2", TokenRW)), "{anonymous}", hexOf(connect("", TokenRW)),
		"{connack}", "20 10 00 00 0D 24 00 25 01 27 00 00 80 00 28 00 2A 00",
		"{subscribe}", "82 0A 00 01 00 00 04 74 65 73 74 00",
		"{test}", "00 04 74 65 73 74",
	).Replace(line)
}

// connect is the CONNECT of section 13: version 5, a password and no user name.
func connect(id, token string) []byte {
	body := slicesOf([]byte("\x00\x04MQTT\x05\x42\x00\x3c\x00"), field(id), field(token))
	return slicesOf([]byte{0x10}, length(len(body)), body)
}

func field(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

// length is a Remaining Length.
func length(n int) (b []byte) {
	for ; n > 127; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func slicesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func hexOf(b []byte) string { return fmt.Sprintf("% X", b) }

// published is the packet of a live message to topic test.
func published(data string) string { return packet(0x30, data) }

func packet(head byte, data string) string {
	body := slicesOf(field("test"), []byte{0}, []byte(data))
	return hexOf(slicesOf([]byte{head}, length(len(body)), body))
}

// joined is a client that subscribed to topic test with these options.
func (s *service) joined(t *testing.T, client, options string) *socket {
	t.Helper()
	k := s.dial(t, "mqtt")
	k.talk(t, "> {"+client+"}\n< {connack}\n> 82 0A 00 01 00 {test} "+options+"\n< 90 04 00 01 00 00")
	return k
}

// markSockets publishes a live message and waits for it: what did not arrive
// before it did not arrive.
func (s *service) markSockets(t *testing.T, sockets ...*socket) {
	t.Helper()
	s.publish(t, "topic=test", "mark")
	for _, k := range sockets {
		k.want(t, published("mark"))
	}
}
