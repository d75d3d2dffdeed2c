package provision

// Archive is a package that was checked and hashed.
type Archive struct {
	// Name and Language are from its manifest.
	Name, Language string
	// FilesHash is over the contents of the files in it, as the platform counts.
	FilesHash string
	// Content is the archive itself.
	Content []byte
}
