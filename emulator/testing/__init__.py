"""What tests of apps and of this product need: virtual time, the port suite, fakes. Ships with the product."""
