package fastly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly/fastlytest"
)

// imitated is a client of an imitated account.
func imitated(t *testing.T, o Options) (*Client, *fastlytest.Server) {
	t.Helper()
	fake := fastlytest.New(fastlytest.Options{})
	server := httptest.NewServer(fake.Handler())
	t.Cleanup(server.Close)
	o.Endpoint = server.URL
	return client(t, o), fake
}

func TestS50RedirectIsNotFollowed(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
	}))
	defer server.Close()
	if _, err := client(t, Options{Endpoint: server.URL}).Self(t.Context()); err == nil || reached {
		t.Errorf("%v, reached=%t", err, reached)
	}
}

func TestS52EndpointsThatGetNoToken(t *testing.T) {
	for endpoint, good := range map[string]bool{
		"https://api.fastly.com": true, "http://127.0.0.1:1": true, "http://[::1]:1": true, "http://localhost:1": true, "": true,
		"http://api.fastly.com": false, "http://127.0.0.1.example.com": false, "ftp://127.0.0.1": false, "https://user:pw@h": false, "nonsense": false,
	} {
		if _, err := New(Options{Endpoint: endpoint, Token: config.NewSecret("x")}); (err == nil) != good {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

// TestS49NothingIsPrinted: the library has a mode in which it prints bodies.
func TestS49NothingIsPrinted(t *testing.T) {
	t.Setenv("FASTLY_DEBUG_MODE", "true")
	stdout := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = w
	var log strings.Builder
	c, _ := imitated(t, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	_, err = c.CreateService(t.Context(), "chat", "")
	failed := c.Sudo(t.Context(), Login{User: fastlytest.DefaultLogin, Password: config.NewSecret(fastlytest.DefaultPassword)})
	os.Stdout = stdout
	_ = w.Close()
	printed, _ := io.ReadAll(r)
	if len(printed) > 0 || err != nil || failed != nil {
		t.Errorf("printed %q, %v, %v", printed, err, failed)
	}
	for _, secret := range []string{fastlytest.DefaultPassword, fastlytest.DefaultToken + `"`} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, &log)
		}
	}
	if !strings.Contains(log.String(), "path=/service") {
		t.Errorf("the log does not name the request:\n%s", &log)
	}
}

// TestHeaders: the program's name, and a one-time password with the one request
// that needs it.
func TestHeaders(t *testing.T) {
	c, fake := imitated(t, Options{UserAgent: "pubsubctl/1 (test)"})
	_ = c.Sudo(t.Context(), Login{User: "u", Password: config.NewSecret("p"), OTP: config.NewSecret("123456")})
	if _, err := c.Self(t.Context()); err != nil {
		t.Fatal(err)
	}
	q := fake.Requests()
	if len(q) != 2 || q[0].Header.Get("Fastly-OTP") != "123456" || q[1].Header.Get("Fastly-OTP") != "" {
		t.Errorf("%+v", q)
	}
	for _, r := range q {
		if r.Header.Get("User-Agent") != "pubsubctl/1 (test)" || r.Header.Get("Fastly-Key") != fastlytest.DefaultToken {
			t.Errorf("%v", r.Header)
		}
	}
}

// TestRepeats: which requests are made again when no answer comes, and how often
// (fastly-api.md, 2.5).
func TestRepeats(t *testing.T) {
	for name, c := range map[string]struct {
		call func(context.Context, *Client) error
		want int
	}{
		"a read":    {func(ctx context.Context, c *Client) error { _, err := c.Self(ctx); return err }, 6},
		"a create":  {func(ctx context.Context, c *Client) error { _, err := c.CreateService(ctx, "x", ""); return err }, 1},
		"a clone":   {func(ctx context.Context, c *Client) error { _, err := c.Clone(ctx, "s", 1); return err }, 1},
		"an update": {func(ctx context.Context, c *Client) error { return c.SetComment(ctx, "s", 1, "c") }, 4},
		"a delete":  {func(ctx context.Context, c *Client) error { return c.DeleteService(ctx, "s") }, 4},
		"an add":    {func(ctx context.Context, c *Client) error { return c.PutKVItem(ctx, "s", "k", []byte("v"), true) }, 1},
		"a put":     {func(ctx context.Context, c *Client) error { return c.PutKVItem(ctx, "s", "k", []byte("v"), false) }, 4},
		"a new token": {func(ctx context.Context, c *Client) error {
			_, err := c.CreateToken(ctx, NewToken{Name: "t"})
			return err
		}, 1},
	} {
		for _, kind := range []fastlytest.Kind{fastlytest.Reset, fastlytest.HTML503} {
			t.Run(fmt.Sprint(name, " ", kind), func(t *testing.T) {
				api, fake := imitated(t, Options{})
				if err := fake.Fault(fastlytest.Fault{Kind: kind, Match: fastlytest.Match{Times: -1}}); err != nil {
					t.Fatal(err)
				}
				err := c.call(t.Context(), api)
				if n := len(fake.Requests()); !Uncertain(err) || n != c.want {
					t.Errorf("%d requests, %v; want %d", n, err, c.want)
				}
			})
		}
	}
}

// TestNobodyThere: where nothing listens it is tried three times, whatever was asked:
// nothing can have been made.
func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	for name, call := range map[string]func(context.Context, *Client) error{
		"a read":   func(ctx context.Context, c *Client) error { _, err := c.Self(ctx); return err },
		"a create": func(ctx context.Context, c *Client) error { _, err := c.CreateService(ctx, "x", ""); return err },
	} {
		waits := 0
		clock := Clock{Sleep: func(context.Context, time.Duration) error { waits++; return nil }}
		err := call(t.Context(), client(t, Options{Endpoint: server.URL, Clock: clock}))
		if _, is := errors.AsType[*UnansweredError](err); !is || waits != 2 {
			t.Errorf("%s: %v after %d waits", name, err, waits)
		}
	}
}

// TestS29WaitsForTheBudget: as long as it is asked to, and no longer.
func TestS29WaitsForTheBudget(t *testing.T) {
	var slept time.Duration
	now := time.Now()
	clock := Clock{Now: func() time.Time { return now }, Sleep: func(_ context.Context, d time.Duration) error { slept += d; return nil }}
	c, fake := imitated(t, Options{Clock: clock})
	if err := fake.Fault(fastlytest.Fault{Kind: fastlytest.RateLimit, Delay: 3 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateService(t.Context(), "x", ""); err != nil || slept < time.Second || slept > 5*time.Second {
		t.Errorf("%v after %v", err, slept)
	}
	if err := fake.Fault(fastlytest.Fault{Kind: fastlytest.RateLimit, Delay: 40 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	slept = 0
	_, err := c.CreateService(t.Context(), "y", "")
	if reset, limited := RateLimited(err); !limited || reset.Before(now.Add(30*time.Minute)) || slept > 0 {
		t.Errorf("%v after %v", err, slept)
	}
	if b := c.Budget(); !b.Known {
		t.Errorf("%+v", b)
	}
}

// TestDeleteThatWorkedBefore: the second try of a delete finds nothing, because the
// first one worked and its answer was lost.
func TestDeleteThatWorkedBefore(t *testing.T) {
	c, fake := imitated(t, Options{})
	s, err := c.CreateStore(t.Context(), ConfigStore, "x")
	if err != nil {
		t.Fatal(err)
	}
	if err := fake.Fault(fastlytest.Fault{Kind: fastlytest.AfterEffect, Match: fastlytest.Match{Method: "DELETE"}}); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteStore(t.Context(), ConfigStore, s.ID); err != nil {
		t.Error(err)
	}
	if err := c.DeleteStore(t.Context(), ConfigStore, s.ID); !NotFound(err) {
		t.Errorf("a store that is not there: %v", err)
	}
}

// TestCancelled: a call ends with its context, and says what was asked.
func TestCancelled(t *testing.T) {
	c, fake := imitated(t, Options{})
	if err := fake.Fault(fastlytest.Fault{Kind: fastlytest.Timeout, Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	why := errors.New("the user is tired of it")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	if _, err := c.Self(ctx); !errors.Is(err, why) || !strings.Contains(err.Error(), "/tokens/self") {
		t.Errorf("%v", err)
	}
}

// secretStore is a store on an imitated account.
func secretStore(t *testing.T, o Options) (*Client, *fastlytest.Server, string) {
	t.Helper()
	fake := fastlytest.New(fastlytest.Options{})
	server := httptest.NewServer(fake.Handler())
	t.Cleanup(server.Close)
	o.Endpoint = server.URL
	if o.SigningKey == nil {
		o.SigningKey = fake.SigningKey()
	}
	c := client(t, o)
	s, err := c.CreateStore(t.Context(), SecretStore, "s")
	if err != nil {
		t.Fatal(err)
	}
	return c, fake, s.ID
}

func TestS44SecretIsEncrypted(t *testing.T) {
	c, fake, store := secretStore(t, Options{})
	const plain = "a-token-in-plain-text"
	first, err := c.PutSecret(t.Context(), store, "publish-token", config.NewSecret(plain))
	if err != nil {
		t.Fatal(err)
	}
	s := fake.Snapshot().SecretStores[0].Secrets[0]
	if string(s.Value) != plain || !s.Encrypted {
		t.Errorf("%+v", s)
	}
	for _, r := range fake.Requests() {
		if strings.Contains(string(r.Body), plain) {
			t.Errorf("%s %s carries it", r.Method, r.Path)
		}
	}
	again, err := c.PutSecret(t.Context(), store, "publish-token", config.NewSecret(plain)) // S48
	if err != nil || !again.Replaced || first.Replaced || again.Digest == first.Digest {
		t.Errorf("%+v, then %+v, %v", first, again, err)
	}
}

// TestS45KeysThatAreNotTrusted, S46 and S47: nothing is sent.
func TestS45KeysThatAreNotTrusted(t *testing.T) {
	untrusted := func(c *Client, fake *fastlytest.Server, store string) {
		t.Helper()
		_, err := c.PutSecret(t.Context(), store, "x", config.NewSecret("secret"))
		if _, is := errors.AsType[*UntrustedKeyError](err); !is || len(fake.Snapshot().SecretStores[0].Secrets) > 0 {
			t.Errorf("%v", err)
		}
	}
	c, fake, store := secretStore(t, Options{SigningKey: PinnedKey()})
	untrusted(c, fake, store)
	c, fake, store = secretStore(t, Options{})
	if err := fake.Preset("signing-key-rotated"); err != nil {
		t.Fatal(err)
	}
	untrusted(c, fake, store)
	c, _, store = secretStore(t, Options{SigningKey: PinnedKey(), TrustAPIKey: true})
	if _, err := c.PutSecret(t.Context(), store, "x", config.NewSecret("secret")); err != nil {
		t.Errorf("with the API's key trusted: %v", err)
	}
	for _, bad := range []string{"", strings.Repeat("x", maxSecret+1)} {
		if _, err := c.PutSecret(t.Context(), store, "x", config.NewSecret(bad)); err == nil {
			t.Errorf("%d bytes are taken", len(bad))
		}
	}
}
