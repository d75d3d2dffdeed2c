package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// These tests run commands against a relay in this process, where a script
// could not see what happens in between.

// talkRelay starts a relay with the keys of the context local.
func talkRelay(t *testing.T, listen string) *relay.Server {
	t.Helper()
	s, err := relay.Start(t.Context(), relay.Options{
		Listen: listen, Control: relay.Off, Keys: []store.Key{{ID: "test", Secret: []byte("notasecret")}}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopRelay(t, s) })
	return s
}

func stopRelay(t *testing.T, s *relay.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// watched is a buffer whose growth can be awaited.
type watched struct {
	mu   sync.Mutex // guards the following
	buf  bytes.Buffer
	grew chan struct{} // closed and replaced at each write
}

func newWatched() *watched { return &watched{grew: make(chan struct{})} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.grew)
	w.grew = make(chan struct{})
	return w.buf.Write(p)
}

func (w *watched) look() (string, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String(), w.grew
}

// await waits until the text holds a match of the expression.
func (w *watched) await(t *testing.T, expression string) {
	t.Helper()
	re, late := regexp.MustCompile(expression), time.After(20*time.Second)
	for {
		text, grew := w.look()
		if re.MatchString(text) {
			return
		}
		select {
		case <-grew:
		case <-late:
			t.Fatalf("no %q in %q", expression, text)
		}
	}
}

// session is one run of the command line.
type session struct {
	out, err *watched
	stop     context.CancelCauseFunc
	code     chan int
	dir      string
}

// begin starts a command in its own goroutine; end or the test's end waits for
// it. adjust, if not nil, changes the streams first.
func begin(t *testing.T, stdin string, adjust func(*ui.Streams), args ...string) *session {
	t.Helper()
	s := &session{out: newWatched(), err: newWatched(), code: make(chan int, 1), dir: t.TempDir()}
	env := []string{"XDG_CONFIG_HOME=" + s.dir, "HOME=" + s.dir, "PATH=" + os.Getenv("PATH")}
	streams := ui.Buffers(ui.EnvOf(env), nil, s.out, s.err)
	if stdin != "" {
		streams = ui.Buffers(ui.EnvOf(env), strings.NewReader(stdin), s.out, s.err)
	}
	if adjust != nil {
		adjust(streams)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	s.stop = stop
	done := make(chan struct{})
	go func() { // awaited by the cleanup
		defer close(done)
		s.code <- Run(ctx, Invocation{Args: args, Environ: env, Dir: s.dir, Streams: streams})
	}()
	t.Cleanup(func() { stop(context.Canceled); <-done })
	return s
}

// end waits for the exit code and returns it with both streams.
func (s *session) end(t *testing.T) (code int, out, errs string) {
	t.Helper()
	select {
	case code = <-s.code:
	case <-time.After(20 * time.Second):
		t.Fatal("the command does not end")
	}
	out, _ = s.out.look()
	errs, _ = s.err.look()
	return code, out, errs
}

// invoke runs a command to its end.
func invoke(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return begin(t, "", nil, args...).end(t)
}

// mustPublish publishes and insists on success.
func mustPublish(t *testing.T, url string, args ...string) {
	t.Helper()
	if code, _, errs := invoke(t, append([]string{"publish", "--url", url}, args...)...); code != 0 {
		t.Fatalf("publish exits %d: %s", code, errs)
	}
}

// subscribed starts a subscriber and waits until it listens.
func subscribed(t *testing.T, url string, adjust func(*ui.Streams), args ...string) *session {
	t.Helper()
	s := begin(t, "", adjust, append([]string{"subscribe", "--url", url}, args...)...)
	s.err.await(t, "listening on")
	return s
}

func TestSubscriberPrintsWhatIsPublished(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	s := subscribed(t, url, nil, "chat", "--count", "3")
	mustPublish(t, url, "chat", "hello world")
	mustPublish(t, url, "chat", "two\nlines")
	mustPublish(t, url, "chat", "//8A", "--base64-in")
	code, out, errs := s.end(t)
	if code != 0 || out != "hello world\ntwo\nlines\n\xff\xff\x00\n" {
		t.Errorf("exit %d, printed %q", code, out)
	}
	if errs != "listening on chat (sse, "+url+")\n" {
		t.Errorf("said %q", errs)
	}
}

func TestTerminalGetsTimeAndTopicAndNoControlCharacters(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	s := subscribed(t, url, func(io *ui.Streams) { io.OutTTY = true }, "chat", "--count", "1")
	mustPublish(t, url, "chat", "red \x1b[31m\u202e \x9b")
	_, out, _ := s.end(t)
	if want := `^\d\d:\d\d:\d\d\.\d{3}  chat  red \\x1b\[31m\\u202e \\x9b\n$`; !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("printed %q, want %s", out, want)
	}
}

func TestTerminalGetsNoControlCharactersFromOtherForms(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	for name, args := range map[string][]string{
		"raw":    {"--raw"},
		"format": {"--format", "{{.data}}"},
		"json":   {"--json"},
		"jq":     {"--jq", ".data"},
		"events": {"--events"},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, "", func(io *ui.Streams) { io.OutTTY = true },
				append([]string{"subscribe", "chat", "--url", url, "--durable", "--count", "1"}, args...)...)
			mustPublish(t, url, "chat", "\u009b31m\x1b]0;title\x07", "--retain")
			if code, out, errs := s.end(t); code != 0 || strings.ContainsAny(out, "\u009b\x1b\x07") || !strings.Contains(out, "title") {
				t.Errorf("exit %d, printed %q, said %q", code, out, errs)
			}
		})
	}
}

func TestRecordsAreWholeAndCarryStatusOnRequest(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	s := begin(t, "", nil, "subscribe", "chat", "--url", url, "--json", "--events", "--count", "2")
	s.out.await(t, "listening on")
	mustPublish(t, url, "chat", `{"n":1}`)
	mustPublish(t, url, "chat", "/w==", "--base64-in")
	code, out, errs := s.end(t)
	if code != 0 || errs != "" {
		t.Errorf("exit %d, said %q, want silence", code, errs)
	}
	var records []map[string]any
	for line := range strings.Lines(out) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		records = append(records, r)
	}
	if len(records) != 3 || records[0]["type"] != "status" {
		t.Fatalf("records %v", records)
	}
	for i, want := range []map[string]any{
		{"v": 1., "type": "message", "topic": "chat", "transport": "sse", "event": "message", "encoding": "utf8", "data": `{"n":1}`, "size": 7., "retained": false, "seq": 1., "conn": 1.},
		{"v": 1., "type": "message", "topic": "chat", "transport": "sse", "event": "message-base64", "encoding": "base64", "data": "/w==", "size": 1., "retained": false, "seq": 2., "conn": 1.},
	} {
		got := records[i+1]
		if _, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(got, "time")
		if a, b := mustJSON(t, got), mustJSON(t, want); a != b {
			t.Errorf("record %s, want %s", a, b)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLostServiceIsAnnouncedAndFoundAgain(t *testing.T) {
	first := talkRelay(t, "")
	url := first.Ready().Hub
	s := subscribed(t, url, nil, "chat", "--count", "1")
	stopRelay(t, first)
	s.err.await(t, `trying again in .* \(attempt 1\)`)
	talkRelay(t, strings.TrimPrefix(url, "http://"))
	s.err.await(t, "listening again on chat")
	s.err.await(t, `gap: messages published while disconnected may have been missed \(\d\d:\d\d:\d\d to \d\d:\d\d:\d\d\)`)
	mustPublish(t, url, "chat", "back")
	if code, out, _ := s.end(t); code != 0 || out != "back\n" {
		t.Errorf("exit %d, printed %q", code, out)
	}
}

func TestLostServiceEndsWithoutReconnect(t *testing.T) {
	r := talkRelay(t, "")
	s := subscribed(t, r.Ready().Hub, nil, "chat", "--no-reconnect")
	stopRelay(t, r)
	if code, _, errs := s.end(t); code != 6 || !strings.Contains(errs, "was closed") {
		t.Errorf("exit %d, said %q", code, errs)
	}
}

func TestSignalsEndASubscription(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	for sig, want := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		s := subscribed(t, url, nil, "chat")
		s.stop(signalled{sig})
		if code, out, errs := s.end(t); code != want || out != "" || strings.Contains(errs, "error") {
			t.Errorf("%v: exit %d, printed %q, said %q", sig, code, out, errs)
		}
	}
}

func TestSignalEndsAPublishThatWaitsForInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close() // lets the reading goroutine go
	s := begin(t, "", func(io *ui.Streams) { io.In, io.InData = r, true }, "publish", "chat", "--lines", "--url", "http://127.0.0.1:1")
	s.stop(signalled{os.Interrupt})
	if code, _, errs := s.end(t); code != 130 || errs != "nothing published\n" {
		t.Errorf("exit %d, want 130; said %q", code, errs)
	}
}

func TestEndOfInputIsSeenBeforeASignal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		from := make(chan piece, 1)
		from <- piece{err: io.EOF}
		if _, err := await(ctx, from); !errors.Is(err, io.EOF) {
			t.Fatalf("%v, want the end of the input", err)
		}
	}
}

// gone is a stdout whose reader has left.
type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestReaderThatLeavesIsNoError(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	for _, form := range []string{"--raw", "--json"} {
		s := subscribed(t, url, func(io *ui.Streams) {
			io.Out = ui.Buffers(ui.EnvOf(nil), nil, gone{}, gone{}).Out
		}, "chat", form)
		mustPublish(t, url, "chat", "x")
		if code, _, errs := s.end(t); code != 0 || strings.Contains(errs, "error") {
			t.Errorf("%s: exit %d, said %q", form, code, errs)
		}
	}
}

func TestExecGetsBodyAndDescription(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is a shell's")
	}
	url := talkRelay(t, "").Ready().Hub
	s := subscribed(t, url, nil, "chat", "--count", "2", "--exec",
		`sh -c 'cat; echo " $PUBSUBCTL_MESSAGE_TOPIC $PUBSUBCTL_MESSAGE_SEQ $PUBSUBCTL_MESSAGE_SIZE $PUBSUBCTL_MESSAGE_EVENT $PUBSUBCTL_MESSAGE_RETAINED"; exit 3'`)
	mustPublish(t, url, "chat", "$(echo no shell)")
	mustPublish(t, url, "chat", "two")
	code, out, errs := s.end(t)
	if code != 0 || out != "$(echo no shell) chat 1 16 message false\ntwo chat 2 3 message false\n" {
		t.Errorf("exit %d, printed %q", code, out)
	}
	if strings.Count(errs, "warning: sh: exit status 3") != 1 {
		t.Errorf("said %q, want the failure once", errs)
	}
}

func TestExecThatHangsIsEnded(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is a shell's")
	}
	url := talkRelay(t, "").Ready().Hub
	s := subscribed(t, url, nil, "chat", "--count", "1", "--exec", "sleep 100", "--exec-timeout", "50ms")
	mustPublish(t, url, "chat", "x")
	if code, _, errs := s.end(t); code != 0 || !strings.Contains(errs, "it took longer than 50ms") {
		t.Errorf("exit %d, said %q", code, errs)
	}
}

func TestFilterSeesRecordAndBody(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	s := subscribed(t, url, nil, "chat", "--count", "2", "--filter", `.json.n > 1 or .data == "take me"`)
	for _, body := range []string{`{"n":1}`, `{"n":2}`, "no", "take me"} {
		mustPublish(t, url, "chat", body)
	}
	if _, out, _ := s.end(t); out != "{\"n\":2}\ntake me\n" {
		t.Errorf("printed %q", out)
	}
}

func TestOutputFileHoldsWhatStdoutWould(t *testing.T) {
	url := talkRelay(t, "").Ready().Hub
	s := subscribed(t, url, func(io *ui.Streams) { io.OutTTY = true }, "chat", "--count", "1", "-o", "got")
	mustPublish(t, url, "chat", "\x1b[1m")
	code, out, _ := s.end(t)
	got, err := os.ReadFile(filepath.Join(s.dir, "got"))
	if code != 0 || out != "" || err != nil || string(got) != "\x1b[1m\n" {
		t.Errorf("exit %d, printed %q, file %q, %v", code, out, got, err)
	}
}

func TestConfirmFailsWhenTheEchoCannotCome(t *testing.T) {
	// A service that accepts everything and delivers nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopped := serveDeaf(l)
	t.Cleanup(func() { l.Close(); <-stopped })
	code, out, errs := invoke(t, "publish", "chat", "x", "--confirm=100ms", "--url", "http://"+l.Addr().String())
	if code != 8 || out != "" || !strings.Contains(errs, "did not come back within 100ms") {
		t.Errorf("exit %d, printed %q, said %q", code, out, errs)
	}
}
