package cmd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/relay"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// signature is what a Grip-Sig says of itself.
type signature struct{ Alg, Iss string }

func readSignature(t *testing.T, tok string) signature {
	t.Helper()
	var s signature
	for _, part := range strings.Split(tok, ".")[:min(2, strings.Count(tok, "."))] {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err == nil {
			err = json.Unmarshal(b, &s)
		}
		if err != nil {
			t.Fatalf("%q: %v", tok, err)
		}
	}
	return s
}

func TestRequestsAreSignedAsAsked(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sig.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan http.Header, 1)
	origin := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	defer origin.Close()
	route := "* " + strings.TrimPrefix(origin.URL, "http://")
	for _, tt := range []struct {
		rule  string
		flags []string
		want  signature
	}{
		{"by default", nil, signature{"HS256", "pushpin"}},
		{"another issuer and secret", []string{"--sig-iss", "fastly:abc", "--sig-key", "base64:c2VjcmV0"}, signature{"HS256", "fastly:abc"}},
		{"a key pair", []string{"--sig-key", "file:" + file}, signature{"ES256", "pushpin"}},
		{"not at all", []string{"--sig-iss", ""}, signature{}},
		{"not at all, without a key", []string{"--sig-key", ""}, signature{}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			args := append([]string{"relay", "--route", route, "--listen", freePort, "--control", "off", "--json"}, tt.flags...)
			served := begin(t, "", nil, args...)
			served.out.await(t, `"type":"ready".*\n`)
			line, _ := served.out.look()
			var ready struct{ Hub string }
			if err := json.Unmarshal([]byte(line), &ready); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ready.Hub+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Grip-Sig", "forged")
			r.Header.Set("X-Forwarded-Proto", "https")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			h := <-got
			if s := readSignature(t, h.Get("Grip-Sig")); s != tt.want || h.Get("X-Forwarded-Proto") != "" {
				t.Errorf("got %+v, proto %q; want %+v", s, h.Get("X-Forwarded-Proto"), tt.want)
			}
		})
	}
}

func TestOriginFlagsReachTheRelay(t *testing.T) {
	env := ui.EnvOf([]string{"PK=the publish key"})
	d := deps{io: ui.Buffers(env, nil, nil, nil), env: env, dir: "/base"}
	o := originOptions{
		routes: []string{"* test"}, file: "routes", sigIssuer: "me", sigKey: defaultSigKey, routeHeader: true,
		noFirstUpdate: true, publishKey: "env:PK", publishLimit: 10,
	}
	var got relay.Options
	if err := o.apply(t.Context(), d, &got); err != nil {
		t.Fatal(err)
	}
	if got.RoutesFile != filepath.Join("/base", "routes") || len(got.Routes) != 1 || got.SigIssuer != "me" || got.SigKey != defaultSigKey ||
		!got.RouteHeader || !got.NoFirstUpdate || !got.Debug || got.PublishKey != "the publish key" || got.PublishLimit != 10 || got.ServicePublishLimit != 10 {
		t.Errorf("%+v", got)
	}
	if shown := d.io.Secrets.Redact("x the publish key x"); strings.Contains(shown, "publish") {
		t.Errorf("the key is shown: %s", shown)
	}
}

func TestGripURLOfARelay(t *testing.T) {
	for _, tt := range [][3]string{
		{"", "", ""}, {"", "k", ""}, {"http://h:1", "", "http://h:1"}, {"http://h:1", "a b&c", "http://h:1/?key=a+b%26c"},
	} {
		if got := gripURL(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%q with %q: %s", tt[0], tt[1], got)
		}
	}
}
