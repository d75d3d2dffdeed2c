package fastly

import (
	"context"
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	gofastly "github.com/fastly/go-fastly/v9/fastly"

	"github.com/pubsubctl/pubsubctl/internal/config"
)

// pinnedKey signs the platform's client keys. It does not come from the API that
// is to be checked with it: an API that lies would name its own.
const pinnedKey = "CrO/A92vkxEZjtTW7D/Sr+1EMf/q9BahC0sfLkWa+0k="

// PinnedKey is Fastly's key for signing client keys.
func PinnedKey() ed25519.PublicKey {
	key, _ := base64.StdEncoding.DecodeString(pinnedKey) // a test decodes it
	return key
}

// maxSecret is the longest secret a store takes, in bytes.
const maxSecret = 64 << 10

var errSecretSize = errors.New("a secret has between 1 byte and 64 KiB")

// Secret implements API.
func (c *Client) Secret(ctx context.Context, store, name string) (Secret, error) {
	s, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.Secret, error) {
		return lib.GetSecret(&gofastly.GetSecretInput{StoreID: store, Name: name})
	})
	if err != nil {
		return Secret{}, err
	}
	return secret(s), nil
}

func secret(s *gofastly.Secret) Secret {
	return Secret{Name: s.Name, Digest: base64.StdEncoding.EncodeToString(s.Digest), Created: s.CreatedAt, Replaced: s.Recreated}
}

// DeleteSecret implements API.
func (c *Client) DeleteSecret(ctx context.Context, store, name string) error {
	return c.do(ctx, func(lib *gofastly.Client) error {
		return lib.DeleteSecret(&gofastly.DeleteSecretInput{StoreID: store, Name: name})
	})
}

// PutSecret implements API. If the answer is lost it writes the secret once more,
// encrypted to another key, because a key is good for one.
func (c *Client) PutSecret(ctx context.Context, store, name string, value config.Secret) (Secret, error) {
	s, err := c.putSecret(ctx, store, name, value)
	if Uncertain(err) && ctx.Err() == nil {
		return c.putSecret(ctx, store, name, value)
	}
	return s, err
}

func (c *Client) putSecret(ctx context.Context, store, name string, value config.Secret) (Secret, error) {
	plain := []byte(value.Reveal())
	if len(plain) == 0 || len(plain) > maxSecret {
		return Secret{}, errSecretSize
	}
	key, err := c.clientKey(ctx)
	if err != nil {
		return Secret{}, err
	}
	sealed, err := key.Encrypt(plain)
	if err != nil {
		return Secret{}, &UntrustedKeyError{"it is not a key to encrypt with"}
	}
	s, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.Secret, error) {
		return lib.CreateSecret(&gofastly.CreateSecretInput{
			StoreID: store, Name: name, Secret: sealed, ClientKey: key.PublicKey, Method: http.MethodPut,
		})
	})
	if err != nil {
		return Secret{}, err
	}
	return secret(s), nil
}

// clientKey asks for a key to encrypt one secret with, and checks who signed it.
func (c *Client) clientKey(ctx context.Context) (*gofastly.ClientKey, error) {
	signer, err := c.signer(ctx)
	if err != nil {
		return nil, err
	}
	key, err := get(ctx, c, func(lib *gofastly.Client) (*gofastly.ClientKey, error) { return lib.CreateClientKey() })
	if err != nil {
		return nil, err
	}
	return key, checkClientKey(key, signer, c.opt.Clock.Now())
}

func checkClientKey(key *gofastly.ClientKey, signer ed25519.PublicKey, now time.Time) error {
	switch {
	case len(key.PublicKey) != 32:
		return &UntrustedKeyError{"it does not have 32 bytes"}
	case !key.VerifySignature(signer):
		return &UntrustedKeyError{"its signature is not Fastly's"}
	case !key.ExpiresAt.IsZero() && now.After(key.ExpiresAt.Add(time.Hour)): // clocks differ
		return &UntrustedKeyError{"it expired at " + key.ExpiresAt.UTC().Format(time.RFC3339)}
	}
	return nil
}

// signer is the key that client keys must be signed with. The API is asked as
// well: if it names another, its keys would not be accepted, and a sentence that
// says so is of more use than a bad signature.
func (c *Client) signer(ctx context.Context) (ed25519.PublicKey, error) {
	want := c.opt.SigningKey
	if want == nil {
		want = PinnedKey()
	}
	named, err := get(ctx, c, func(lib *gofastly.Client) (ed25519.PublicKey, error) { return lib.GetSigningKey() })
	if err != nil {
		return nil, err
	}
	switch {
	case len(named) != ed25519.PublicKeySize: // the check of a signature would panic
		return nil, &UntrustedKeyError{"the signing key does not have 32 bytes"}
	case c.opt.TrustAPIKey:
		return named, nil
	case subtle.ConstantTimeCompare(named, want) != 1:
		return nil, &UntrustedKeyError{"the API names another signing key than the one this program knows"}
	}
	return want, nil
}
