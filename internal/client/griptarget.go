package client

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// GripTarget is where items are published and with what credential. It prints
// as the address alone.
type GripTarget struct {
	url       string // of the endpoint; static, as are the others
	secrets   []string
	authorize func(h http.Header, now time.Time) error // nil: no credential
}

// String is the address of the endpoint, without any credential.
func (t *GripTarget) String() string { return t.url }

// Secrets are the credentials, so that a caller can keep them from being shown.
func (t *GripTarget) Secrets() []string { return t.secrets }

// ServiceTarget is the endpoint of a hosted service, at an API such as
// https://api.fastly.com. The error does not quote the token.
func ServiceTarget(api, serviceID, token string) (*GripTarget, error) {
	base, err := url.JoinPath(api, "service", url.PathEscape(serviceID))
	if err != nil {
		return nil, errNotGripURL
	}
	t, err := ParseGripURL(base)
	if err == nil {
		t.bearer(token)
	}
	return t, err
}

var (
	errNotGripURL  = errors.New("a GRIP URL is http(s)://HOST[:PORT][/PATH] with ?key=, or ?iss= and ?key=, where credentials are wanted")
	errGripKey     = errors.New("the key in the GRIP URL is not base64, although it says so")
	errGripKeyFile = errors.New("the key in the GRIP URL names a file, which is not supported there")
	errGripKeyNone = errors.New("the GRIP URL has an issuer (iss) but no key to sign with")
)

// ParseGripURL reads what GRIP libraries take from GRIP_URL. The endpoint is
// /publish/ below its path. With iss and key each request carries a token signed
// with the key (HS256), with key alone the key itself; user and password are
// those of Basic. A key may be "base64:" and the key's bytes. Parameters that are
// for the other direction, such as verify-key, are passed over. Errors never
// quote the URL, which may hold a secret.
func ParseGripURL(text string) (*GripTarget, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errNotGripURL
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errNotGripURL
	}
	user := u.User
	u.User, u.RawQuery, u.Fragment, u.ForceQuery = nil, "", "", false
	t := &GripTarget{url: strings.TrimRight(u.String(), "/") + "/publish/"}
	switch key, issuer := q.Get("key"), q.Get("iss"); {
	case key != "":
		return t, t.withKey(issuer, key)
	case issuer != "":
		return nil, errGripKeyNone
	case user != nil:
		t.basic(user)
	}
	return t, nil
}

func (t *GripTarget) withKey(issuer, key string) error {
	encoded, isEncoded := strings.CutPrefix(key, "base64:")
	// A plus sign that nobody has escaped reads as a space by now.
	encoded = strings.ReplaceAll(encoded, " ", "+")
	t.secrets = append(t.secrets, key, encoded)
	if issuer != "" {
		if isEncoded {
			key = "base64:" + encoded
		}
		return t.signed(issuer, key)
	}
	if isEncoded {
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return errGripKey
		}
		key = string(raw)
	}
	t.bearer(key)
	return nil
}

// signed makes a token for each request, because one kept for longer may expire.
func (t *GripTarget) signed(issuer, key string) error {
	k, err := grip.ParseKey(key, func(string) ([]byte, error) { return nil, errGripKeyFile })
	switch {
	case errors.Is(err, errGripKeyFile):
		return errGripKeyFile
	case err != nil:
		return errGripKey
	}
	signer, err := grip.NewSigner(issuer, k)
	if err != nil {
		return err
	}
	t.authorize = func(h http.Header, now time.Time) error {
		tok, err := signer.Sign(now)
		h.Set("Authorization", "Bearer "+tok)
		return err
	}
	return nil
}

func (t *GripTarget) bearer(key string) {
	t.secrets = append(t.secrets, key)
	t.authorize = func(h http.Header, _ time.Time) error {
		h.Set("Authorization", "Bearer "+key)
		return nil
	}
}

func (t *GripTarget) basic(user *url.Userinfo) {
	password, _ := user.Password()
	pair := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
	t.secrets = append(t.secrets, password, pair)
	t.authorize = func(h http.Header, _ time.Time) error {
		h.Set("Authorization", "Basic "+pair)
		return nil
	}
}
