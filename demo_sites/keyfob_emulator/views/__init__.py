"""The provider's pages and endpoints, one blueprint for each conversation."""
