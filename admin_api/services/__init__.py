"""Rules that span resources: the plane's shared objects, first start, the config file, what a name or URL may be."""
