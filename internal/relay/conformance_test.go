package relay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/app/apptest"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// The suite runs over each way a stream can be held and each store.
func TestConformance(t *testing.T) {
	cert, key := writeCertificate(t)
	for name, mode := range map[string]struct {
		set             func(*Options, *testing.T)
		client, sockets *http.Client
	}{
		"descriptor": {func(*Options, *testing.T) {}, nil, nil},
		"portable":   {func(o *Options, _ *testing.T) { o.Portable = true }, nil, nil},
		"http2":      {func(o *Options, _ *testing.T) { o.TLSCert, o.TLSKey = cert, key }, trusting(t, true), trusting(t, false)},
		"tls http1":  {func(o *Options, _ *testing.T) { o.TLSCert, o.TLSKey = cert, key }, trusting(t, false), nil},
		"platform":   {asPlatform, nil, nil},
		"bolt":       {func(o *Options, t *testing.T) { o.Data = t.TempDir() }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			apptest.Run(t, apptest.Service{Client: mode.client, Sockets: mode.sockets, Start: func(t *testing.T, s apptest.Setup) string {
				o := testOptions()
				o.Config, o.NoMessagesStore, o.NoPublishToken = s.Config, s.NoMessagesStore, s.NoPublishToken
				if s.Messages != "" {
					o.prepare = holding(t, s.Messages)
				}
				mode.set(&o, t)
				hub := startT(t, o).Ready().Hub
				if mode.client != nil {
					t.Cleanup(mode.client.CloseIdleConnections) // before the relay stops, or HTTP/2 takes a second
				}
				return hub
			}})
		})
	}
}

// holding fills a store with messages in the layout of the app's sample file.
func holding(t *testing.T, messages string) func(store.Store) error {
	return func(s store.Store) error {
		records, err := store.ReadMessagesFile(strings.NewReader(messages))
		if err != nil {
			return err
		}
		return s.(store.Archive).Restore(t.Context(), records)
	}
}

func testOptions() Options {
	return Options{
		Keys: []store.Key{{ID: "test", Secret: []byte("notasecret")}}, FastlyKeys: []string{apptest.FastlyKey},
		Log: slog.New(slog.DiscardHandler),
	}
}

func startT(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopT(t, s) })
	return s
}

func writeCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "cert.pem", "CERTIFICATE", der), writePEM(t, "key.pem", "PRIVATE KEY", pkcs8)
}

func writePEM(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// trusting is a client that takes any certificate, with HTTP/2 or without.
func trusting(t *testing.T, h2 bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: h2} //nolint:gosec // a certificate of the test's own
	if !h2 {
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}
