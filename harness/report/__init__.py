"""Summaries -> what people look at: tables, figures, pages."""
