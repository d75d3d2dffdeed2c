package cmd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pubsubctl/pubsubctl/internal/client"
)

// scriptSelfSigned is "selfsigned CERT KEY NAME|ADDRESS [until]": a certificate that
// vouches for itself, valid for an hour or, with until, up to an hour ago.
func scriptSelfSigned(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: selfsigned CERT KEY NAME|ADDRESS [until]")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	now := time.Now()
	c := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay"},
		NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	if ip := net.ParseIP(args[2]); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{args[2]}
	}
	if len(args) > 3 {
		c.NotAfter = now.Add(-time.Hour)
	}
	cert, err := x509.CreateCertificate(rand.Reader, &c, &c, &key.PublicKey, key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

func TestTrustIsGivenAsTheSystemTakesIt(t *testing.T) {
	for goos, want := range map[string]string{
		"linux":   "SSL_CERT_FILE=CERT.pem pubsubctl publish test",
		"freebsd": "SSL_CERT_FILE=CERT.pem pubsubctl publish test",
		"darwin":  "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db CERT.pem",
		"windows": "certutil -user -addstore Root CERT.pem",
	} {
		if got := trust(goos, "pubsubctl publish test"); got != want {
			t.Errorf("%s: %q, want %q", goos, got, want)
		}
	}
}

func TestNoOtherNameIsProposedThanOneOfThisMachine(t *testing.T) {
	for _, c := range []struct{ url, certified, next string }{
		{"https://127.0.0.1:81", "localhost", "pubsubctl publish --url https://localhost:81 test"},
		{"https://127.0.0.1:81", "evil.test", "pubsubctl context show --resolved"},
		{"https://good.test", "evil.test", "pubsubctl context show --resolved"},
		{"https://good.test", "localhost", "pubsubctl context show --resolved"},
	} {
		a := asked{verb: "publish", topics: []string{"test"}, conn: connection{url: c.url}}
		_, why, next := a.explainNetwork(&client.Error{Op: "publish", Category: client.CategoryNetwork, Reason: "tls",
			Err: x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{c.certified}}, Host: "h"}})
		if next != c.next || why == "" {
			t.Errorf("%s with a certificate of %s: why %q, next %q, want %q", c.url, c.certified, why, next, c.next)
		}
	}
}
